import type { Digest, RepositoryName } from '../reference/reference.js'
import { isCanonical } from '../reference/reference.js'
import type { Workers } from '../workers/workers.js'
import type { QuotaLedger, Reservation, Room } from './ledger.js'

const TOPIC = 'policy.quotas'

type Request =
  | { readonly do: 'reserve', readonly reservation: Reservation }
  | { readonly do: 'settle', readonly name: RepositoryName, readonly id: string, readonly digest: Digest, readonly size: number }
  | { readonly do: 'release', readonly name: RepositoryName, readonly id: string }
  | { readonly do: 'remove', readonly name: RepositoryName, readonly digest: Digest }

/**
 * The one ledger of all processes of the server: the leader's. One that takes over counts from storage, and knows of the
 * pushes under way what they ask for from then on.
 */
export class Quotas {
  readonly #workers: Workers
  readonly #ledger: QuotaLedger

  constructor (workers: Workers, ledger: QuotaLedger) {
    this.#workers = workers
    this.#ledger = ledger
    workers.serve(TOPIC, message => this.#serve(message as Request))
  }

  async reserve (reservation: Reservation): Promise<Room> {
    return await this.#ask({ do: 'reserve', reservation }) as Room
  }

  async settle (name: RepositoryName, id: string, digest: Digest, size: number): Promise<void> {
    await this.#ask({ do: 'settle', name, id, digest, size })
  }

  async release (name: RepositoryName, id: string): Promise<void> {
    await this.#ask({ do: 'release', name, id })
  }

  async remove (name: RepositoryName, digest: Digest): Promise<void> {
    await this.#ask({ do: 'remove', name, digest })
  }

  async #ask (request: Request): Promise<unknown> {
    return await this.#workers.ask(TOPIC, request)
  }

  async #serve (request: Request): Promise<Room | true> {
    if (request.do === 'reserve') return await this.#ledger.reserve(request.reservation)
    const { name } = request
    if (request.do === 'settle') this.#ledger.settle(name, request.id, request.digest, request.size)
    else if (request.do === 'release') this.#ledger.release(name, request.id)
    else if (isCanonical(request.digest)) this.#ledger.remove(name, request.digest)
    // By which canonical digest it was counted nobody has said.
    else this.#ledger.forget(name)
    return true
  }
}
