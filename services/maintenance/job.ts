import type { StorageDriver } from '../storage/driver.js'
import { systemClock } from './clock.js'
import type { Clock } from './clock.js'
import { acquireLease } from './lease.js'
import { Ticker } from './ticker.js'
import type { TickerOptions } from './ticker.js'

export interface JobOptions<R extends object> extends Omit<TickerOptions<R | undefined>, 'run'> {
  readonly driver: StorageDriver
  /** Of the lease under which it is done. */
  readonly lease: string
  readonly run: (signal: AbortSignal) => Promise<R>
  /** Asked before a run; it is always due if not given. */
  readonly isDue?: () => Promise<boolean>
}

export interface JobStatus<R extends object> {
  readonly runs: number
  readonly failures: number
  /** The result of the last run that came to its end. */
  readonly last: (R & { readonly finished: string, readonly ms: number }) | null
}

/** Something that is done again and again, by one server on this storage at a time. */
export class Job<R extends object> {
  readonly #options: JobOptions<R>
  readonly #clock: Clock
  readonly #ticker: Ticker<R | undefined>
  #status: JobStatus<R> = { runs: 0, failures: 0, last: null }

  constructor (options: JobOptions<R>) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#ticker = new Ticker({ ...options, run: async signal => await this.#run(signal) })
  }

  get status (): JobStatus<R> {
    return this.#status
  }

  start (): void {
    this.#ticker.start()
  }

  /** A run now, or the one under way. Undefined when it is not due, or another server on the same storage is at it. */
  async runOnce (): Promise<R | undefined> {
    return await this.#ticker.runNow()
  }

  async stop (): Promise<void> {
    await this.#ticker.stop()
  }

  async #run (stopped: AbortSignal): Promise<R | undefined> {
    const { driver, lease: name, isDue, log } = this.#options
    try {
      if (await isDue?.() === false) return undefined
      await using lease = await acquireLease(driver, name, { clock: this.#clock })
      if (lease !== undefined) return await this.#work(AbortSignal.any([stopped, lease.signal]))
      log.info(`${this.#options.name}: another server on this storage is at it`)
      return undefined
    } catch (error) {
      if (!stopped.aborted) this.#status = { ...this.#status, failures: this.#status.failures + 1 }
      throw error
    }
  }

  async #work (signal: AbortSignal): Promise<R> {
    const began = this.#clock.now()
    const result = await this.#options.run(signal)
    const finished = this.#clock.now()
    const { runs, failures } = this.#status
    this.#status = { runs: runs + 1, failures, last: { ...result, finished: new Date(finished).toISOString(), ms: finished - began } }
    return result
  }
}
