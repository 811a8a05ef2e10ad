import { systemClock } from './clock.js'
import type { Clock } from './clock.js'
import type { Log } from './log.js'

export interface TickerOptions<T> {
  /** For the log. */
  readonly name: string
  /** Until the first run. */
  readonly firstMs: number
  /** From the end of a run to the beginning of the next. */
  readonly intervalMs: number
  /** Up to this part of the interval is added to it, at random, so that many servers drift apart. Default 0. */
  readonly jitter?: number
  /** Is to end soon after the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<T>
  /** Told before every wait how long it will be. */
  readonly announce?: (ms: number) => void
  readonly log: Log
  readonly clock?: Clock
  /** At least 0, less than 1. */
  readonly random?: () => number
}

/**
 * Does something again and again, never twice at once. A run that fails is logged, and the next one comes all the same.
 * Waiting does not keep the process alive.
 */
export class Ticker<T = void> {
  readonly #options: TickerOptions<T>
  readonly #clock: Clock
  readonly #controller = new AbortController()
  #repeating: Promise<void> | undefined
  #running: Promise<T> | undefined

  constructor (options: TickerOptions<T>) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Begins to wait for the first run. Does nothing when it has begun already, or was stopped. */
  start (): void {
    this.#repeating ??= this.#repeat()
  }

  /** A run out of turn; or the one under way, if there is one. Rejects with what the run throws. */
  async runNow (): Promise<T> {
    this.#controller.signal.throwIfAborted()
    this.#running ??= this.#options.run(this.#controller.signal).finally(() => { this.#running = undefined })
    return await this.#running
  }

  /** Ends the repetition, tells a run under way to end, and waits for it. */
  async stop (): Promise<void> {
    this.#controller.abort(new Error(`${this.#options.name} was stopped`))
    await this.#repeating
    await this.#running?.catch(() => {})
  }

  async #repeat (): Promise<void> {
    const { name, firstMs, intervalMs, jitter = 0, random = Math.random, log } = this.#options
    const { signal } = this.#controller
    let delay = firstMs
    while (await this.#wait(delay)) {
      try {
        await this.runNow()
      } catch (error) {
        if (!signal.aborted) log.error({ err: error }, `${name} failed`)
      }
      delay = intervalMs * (1 + jitter * random())
    }
  }

  /** False when it was stopped meanwhile. */
  async #wait (ms: number): Promise<boolean> {
    const { signal } = this.#controller
    if (signal.aborted) return false
    this.#options.announce?.(ms)
    await this.#clock.sleep(ms, { signal, ref: false }).catch(() => {})
    return !signal.aborted
  }
}
