import type { EventAction, EventsByAction, RegistryEvent } from './event.js'
import type { Log } from '../log/log.js'

/** What a subscriber does with an event. What it throws is logged, and harms nobody else. */
export type EventHandler<A extends EventAction> = (event: EventsByAction[A]) => unknown

/** Tells code in this process what happens in it. */
export interface RegistryEvents {
  /**
   * Calls the handler for each event of an action, in order, in the process that the event happened in. The request does
   * not wait for what the handler returns. Returns how to end that.
   *
   * @example
   * const end = handle.events.on('push', ({ target }) => { scan(target.repository, target.digest) })
   */
  on<A extends EventAction> (action: A, handler: EventHandler<A>): () => void
}

/** Whoever subscribed to the events of this process. */
export class Subscribers implements RegistryEvents {
  readonly #log: Log
  readonly #handlers = new Map<EventAction, Set<(event: RegistryEvent) => unknown>>()

  constructor (log: Log) {
    this.#log = log
  }

  get isEmpty (): boolean {
    return this.#handlers.size === 0
  }

  on<A extends EventAction> (action: A, handler: EventHandler<A>): () => void {
    // One of its own: the same function may subscribe twice, and each time ends by itself.
    const own = (event: RegistryEvent): unknown => handler(event as EventsByAction[A])
    const handlers = this.#handlers.get(action) ?? new Set()
    this.#handlers.set(action, handlers.add(own))
    return () => {
      handlers.delete(own)
      if (handlers.size === 0 && this.#handlers.get(action) === handlers) this.#handlers.delete(action)
    }
  }

  emit (event: RegistryEvent): void {
    for (const handler of this.#handlers.get(event.action) ?? []) {
      const failed = (error: unknown): void => { this.#log.error({ err: error, action: event.action }, 'a subscriber of events failed') }
      try {
        Promise.resolve(handler(event)).catch(failed)
      } catch (error) {
        failed(error)
      }
    }
  }
}
