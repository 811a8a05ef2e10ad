import { systemClock } from '../maintenance/clock.js'
import type { Clock } from '../maintenance/clock.js'
import { Ticker } from '../maintenance/ticker.js'
import type { Log } from '../log/log.js'
import type { HealthCheck } from './check.js'

export interface HealthOptions {
  readonly checks: readonly HealthCheck[]
  readonly log: Log
  readonly clock?: Clock
}

/** Runs checks by the clock and knows which of them fail. Until its first run, after one interval, a check is well. */
export class Health {
  /** What fails, by name of the check, with the reason. */
  readonly #failing = new Map<string, string>()
  readonly #tickers: readonly Ticker[]
  readonly #log: Log

  constructor ({ checks, log, clock = systemClock }: HealthOptions) {
    this.#log = log
    this.#tickers = checks.map(check => this.#ticker(check, clock))
  }

  /** False while a check fails: nothing is to be served then. */
  get isWell (): boolean {
    return this.#failing.size === 0
  }

  /** The body of `/debug/health`: what fails, and why. */
  failures (): Record<string, string> {
    return Object.fromEntries(this.#failing)
  }

  start (): void {
    for (const ticker of this.#tickers) ticker.start()
  }

  async stop (): Promise<void> {
    await Promise.all(this.#tickers.map(async ticker => { await ticker.stop() }))
  }

  #ticker (check: HealthCheck, clock: Clock): Ticker {
    const { name, intervalMs, threshold } = check
    let inARow = 0
    return new Ticker({
      name: `health check ${name}`,
      firstMs: intervalMs,
      intervalMs,
      log: this.#log,
      clock,
      run: async signal => {
        const reason = await failureOf(check, signal)
        if (signal.aborted) return
        if (reason === undefined) {
          inARow = 0
          if (this.#failing.delete(name)) this.#log.info(`health check ${name}: well again`)
        } else if (++inARow >= threshold) {
          if (!this.#failing.has(name)) this.#log.error(`health check ${name}: ${reason}`)
          this.#failing.set(name, reason)
        }
      }
    })
  }
}

/** Why it is not well, or undefined. A run that does not heed its signal, such as one in a dead mount, is late all the same. */
export async function failureOf ({ run, timeoutMs }: Pick<HealthCheck, 'run' | 'timeoutMs'>, stopped?: AbortSignal): Promise<string | undefined> {
  const late = new AbortController()
  const signal = stopped === undefined ? late.signal : AbortSignal.any([late.signal, stopped])
  const timer = setTimeout(() => { late.abort(new Error(`no answer within ${timeoutMs} ms`)) }, Math.min(timeoutMs, 2 ** 31 - 1))
  timer.unref()
  const aborted = new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }, { once: true }) })
  try {
    await Promise.race([run(signal), aborted])
    signal.throwIfAborted()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(timer)
  }
}
