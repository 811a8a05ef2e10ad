import type { Workers } from '../workers/workers.js'
import type { Clock } from './delivery.js'
import type { RegistryEvent } from './event.js'
import type { Log } from '../log/log.js'

export interface OutboxOptions {
  readonly workers: Workers
  readonly topic: string
  /** Events that may wait for a leader. */
  readonly limit: number
  readonly clock: Clock
  readonly log: Log
}

interface Waiting { readonly event: RegistryEvent, readonly taken: () => void }

const BATCH = 100
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 1000

/**
 * Hands the events of this process to the one that leads, in order. When the leader dies they are handed to the next
 * one, which may get some that its predecessor has taken in already: they have the same ids.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #stop = new AbortController()
  #waiting: Waiting[] = []
  #sending: Promise<void> | undefined
  #dropped = 0

  constructor (options: OutboxOptions) {
    this.#options = options
  }

  /** Resolves when the leader has the event. */
  async send (event: RegistryEvent): Promise<void> {
    await new Promise<void>(resolve => {
      this.#waiting.push({ event, taken: resolve })
      if (this.#waiting.length > this.#options.limit) this.#dropOldest()
      this.#sending ??= this.#send()
    })
  }

  /** Waits until everything is handed over or the signal is aborted. */
  async close (signal: AbortSignal): Promise<void> {
    const stop = (): void => { this.#stop.abort() }
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    await this.#sending
    const lost = this.#waiting.length + this.#dropped
    if (lost > 0) this.#options.log.warn({ events: lost }, `notifications: ${lost} events found no process to take them and are lost`)
  }

  async #send (): Promise<void> {
    const { workers, topic } = this.#options
    let pause = FIRST_PAUSE_MS
    while (this.#waiting.length > 0 && !this.#stop.signal.aborted) {
      const batch = this.#waiting.slice(0, BATCH)
      try {
        await workers.ask(topic, batch.map(({ event }) => event))
        pause = FIRST_PAUSE_MS
      } catch (error) {
        this.#options.log.debug({ err: error }, 'notifications: no process takes events; trying again')
        await this.#options.clock.sleep(pause, this.#stop.signal)
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
        continue
      }
      const taken = new Set(batch)
      this.#waiting = this.#waiting.filter(waiting => !taken.has(waiting))
      for (const waiting of batch) waiting.taken()
    }
    // In the same turn in which nothing was left: what comes next begins anew.
    this.#sending = undefined
  }

  #dropOldest (): void {
    this.#waiting.shift()?.taken()
    this.#dropped++
  }
}
