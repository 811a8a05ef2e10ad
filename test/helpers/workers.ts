import type { ToPrimary, ToWorker } from '../../services/workers/messages.js'
import { Relay } from '../../services/workers/relay.js'
import type { Peer } from '../../services/workers/relay.js'
import { RelayedWorkers } from '../../services/workers/relayed-workers.js'

/**
 * Workers that talk as those of separate processes do, in this one: every message is copied as JSON, arrives later, and
 * in order.
 */
export class TestWorkers {
  readonly #relay = new Relay()
  readonly #peers = new Map<number, Peer>()
  readonly #dead = new Set<number>()
  #next = 1

  /** One more worker, ready to talk. */
  async join (count = 2): Promise<RelayedWorkers> {
    const id = this.#next++
    const workers = new RelayedWorkers({
      id,
      count,
      send: message => { this.#later(id, () => { this.#relay.receive(peer, copy<ToPrimary>(message)) }) }
    })
    const peer: Peer = { id, send: message => { this.#later(id, () => { workers.receive(copy<ToWorker>(message)) }) } }
    this.#peers.set(id, peer)
    await workers.join()
    return workers
  }

  /** The worker dies: nothing that it says or is told arrives any more. */
  kill (id: number): void {
    this.#dead.add(id)
    this.#relay.leave(id)
  }

  #later (id: number, deliver: () => void): void {
    setImmediate(() => { if (!this.#dead.has(id)) deliver() })
  }
}

function copy<T> (message: T): T {
  return JSON.parse(JSON.stringify(message)) as T
}
