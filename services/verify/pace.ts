import { systemClock } from '../maintenance/clock.js'
import type { Clock } from '../maintenance/clock.js'

/** What one call to storage counts for besides the bytes it reads. */
const CALL_BYTES = 4096
/** What was not used for a while may be used at once, up to this much time. */
const BURST_MS = 100
/** Shorter waits are put together: timers have a resolution of a millisecond, and cost something. */
const MIN_WAIT_MS = 5

/** Keeps a long run from taking more of the storage than it should. */
export class Pace {
  readonly #bytesPerMs: number
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined
  /** When what was spent so far is paid for. */
  #due = 0

  /** @param bytesPerSecond `Infinity` for as fast as it goes */
  constructor (bytesPerSecond: number, { clock = systemClock, signal }: { readonly clock?: Clock, readonly signal?: AbortSignal | undefined } = {}) {
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#clock = clock
    this.#signal = signal
  }

  /** To be awaited after bytes were read, or without an argument for a call that reads next to none. */
  async spend (bytes = CALL_BYTES): Promise<void> {
    this.#signal?.throwIfAborted()
    if (this.#bytesPerMs === Infinity) return
    const now = this.#clock.now()
    this.#due = Math.max(this.#due, now - BURST_MS) + bytes / this.#bytesPerMs
    if (this.#due - now >= MIN_WAIT_MS) await this.#clock.sleep(this.#due - now, { signal: this.#signal })
  }
}
