import type { Clock } from '../maintenance/clock.js'
import type { Log } from '../maintenance/log.js'
import { Ticker } from '../maintenance/ticker.js'
import type { Workers } from '../workers/workers.js'
import { UploadTable } from './upload-table.js'
import type { UploadLimits, UploadSlot } from './upload-table.js'

export interface UploadSlotsParts {
  readonly limits: UploadLimits
  readonly workers: Pick<Workers, 'id' | 'ask' | 'serve'>
  readonly log: Log
  readonly clock?: Clock
  /** Milliseconds that only go forward. */
  readonly now?: () => number
}

export interface EnteredUpload {
  /** Undefined when it was let in, otherwise the limit that was reached. */
  readonly refused: Promise<'uploadsOfClient' | 'uploads' | undefined>
  /**
   * It is over, whatever became of it; also before anybody knows whether it was let in. Resolves when all processes
   * may let in another one.
   */
  readonly leave: () => Promise<void>
}

type Message =
  | { readonly enter: UploadSlot }
  | { readonly leave: Omit<UploadSlot, 'client'> }
  | { readonly renew: ReadonlyArray<readonly [id: number, client: string]>, readonly process: number }

const TOPIC = 'limits.uploads'
const RENEW_MS = 10_000

/**
 * The bodies that a process receives, of which the leading process counts those of all. When the leader dies the next
 * one hears within ten seconds what the others hold; until then more may be let in, and while there is none, everything.
 */
export class UploadSlots {
  readonly #workers: UploadSlotsParts['workers']
  readonly #slots = new Map<number, string>()
  readonly #renewing: Ticker
  #next = 0

  constructor ({ limits, workers, log, clock, now = () => performance.now() }: UploadSlotsParts) {
    this.#workers = workers
    const table = new UploadTable(limits, now)
    workers.serve(TOPIC, message => answer(table, message as Message))
    this.#renewing = new Ticker({
      name: 'counting uploads',
      firstMs: RENEW_MS,
      intervalMs: RENEW_MS,
      run: async () => { await this.#renew() },
      log,
      ...(clock === undefined ? {} : { clock })
    })
    this.#renewing.start()
  }

  /** Bodies that this process receives. */
  get count (): number {
    return this.#slots.size
  }

  enter (client: string): EnteredUpload {
    const slot = { process: this.#workers.id, id: this.#next++, client }
    this.#slots.set(slot.id, client)
    const refused = this.#ask({ enter: slot }).then(reason => {
      if (reason !== undefined) this.#slots.delete(slot.id)
      return reason as Awaited<EnteredUpload['refused']>
    })
    const leave = async (): Promise<void> => {
      if (this.#slots.delete(slot.id)) await this.#ask({ leave: slot })
    }
    return { refused, leave }
  }

  async close (): Promise<void> {
    await this.#renewing.stop()
  }

  async #renew (): Promise<void> {
    if (this.#slots.size > 0) await this.#ask({ renew: [...this.#slots], process: this.#workers.id })
  }

  async #ask (message: Message): Promise<unknown> {
    // Without a leader nobody counts; the next one is told.
    return await this.#workers.ask(TOPIC, message).catch(() => undefined)
  }
}

function answer (table: UploadTable, message: Message): string | undefined {
  if ('enter' in message) return table.enter(message.enter)
  if ('leave' in message) table.leave(message.leave)
  else table.renew(message.process, message.renew)
  return undefined
}
