import type { EventSink } from './event.js'
import type { Log } from '../log/log.js'
import type { EventQueue, QueuedEvent } from './queue.js'

export interface Clock {
  now (): number
  /** Resolves after that time, or as soon as the signal is aborted. */
  sleep (ms: number, signal: AbortSignal): Promise<void>
}

export interface DeliveryOptions {
  readonly name: string
  readonly queue: EventQueue
  readonly sink: EventSink
  /** After so many failures in a row there is a pause before every further attempt. */
  readonly threshold: number
  /** How long that pause is, in milliseconds. */
  readonly backoff: number
  readonly clock: Clock
  readonly log: Log
  readonly onDelivered: () => void
  readonly onFailed: (error: unknown) => void
}

/**
 * Takes the events of a queue to a sink: in order, one at a time, each until it is taken. An endpoint that is down keeps
 * its events waiting and nobody else's.
 */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #head: QueuedEvent | undefined
  #failures = 0
  #downSince = 0
  #whenIdle: (() => void) | undefined

  constructor (options: DeliveryOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** When the oldest event that was not delivered happened. */
  get oldest (): number | undefined {
    return this.#head === undefined ? undefined : Date.parse(this.#head.event.timestamp)
  }

  /** Whether the sink takes nothing at present. */
  get isDown (): boolean {
    return this.#failures >= this.#options.threshold
  }

  /** Goes on until everything is delivered or the signal is aborted, then stops. */
  async close (signal: AbortSignal): Promise<void> {
    const { queue } = this.#options
    // What a durable queue keeps need not wait for an endpoint that is known to be down.
    if (queue.pending > 0 && !signal.aborted && !(queue.isDurable && this.isDown)) {
      await new Promise<void>(resolve => {
        this.#whenIdle = resolve
        signal.addEventListener('abort', () => { resolve() }, { once: true })
      })
    }
    this.#stop.abort()
    await this.#running
  }

  async #run (): Promise<void> {
    const { queue, backoff, clock } = this.#options
    const { signal } = this.#stop
    for (;;) {
      // Asked again before every attempt: the one that failed may have had to make room.
      this.#head = await queue.next(signal)
      if (this.#head === undefined) return
      if (this.isDown) await clock.sleep(backoff, signal)
      if (signal.aborted) return
      await this.#attempt(this.#head, signal)
      if (queue.pending === 0 || (queue.isDurable && this.isDown)) this.#whenIdle?.()
    }
  }

  async #attempt (entry: QueuedEvent, signal: AbortSignal): Promise<void> {
    const { queue, sink, onDelivered, onFailed } = this.#options
    try {
      await sink.write([entry.event], signal)
    } catch (error) {
      // Stopped in the middle: whether it arrived is not known, so it is still to be delivered.
      if (signal.aborted) return
      onFailed(error)
      this.#failed(error)
      return
    }
    onDelivered()
    this.#succeeded()
    this.#head = undefined
    await queue.acknowledge(entry)
  }

  /** Said once, however long it takes. */
  #failed (error: unknown): void {
    const { name, threshold, backoff, clock, log, queue } = this.#options
    this.#failures++
    if (this.#failures === 1) this.#downSince = clock.now()
    if (this.#failures !== threshold) return log.debug({ err: error, endpoint: name }, 'an event was not delivered')
    log.warn({ err: error, endpoint: name, pending: queue.pending }, `notifications: ${name} takes no events; trying again every ${backoff} ms`)
  }

  #succeeded (): void {
    const { name, clock, log, queue } = this.#options
    if (this.isDown) log.info({ endpoint: name, pending: queue.pending }, `notifications: ${name} takes events again, after ${Math.round((clock.now() - this.#downSince) / 1000)} s`)
    this.#failures = 0
  }
}

/** The time of this world. */
export const realClock: Clock = {
  now: () => Date.now(),
  async sleep (ms, signal) {
    if (signal.aborted) return
    await new Promise<void>(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      signal.addEventListener('abort', end)
    })
  }
}
