import type { Log } from '../maintenance/log.js'
import { Overload } from './overload.js'
import type { OverloadReason } from './overload.js'

/** Between two lines about the same limit. */
const LINE_MS = 10_000

/** What was refused, for whoever looks at it, and now and then in the log. */
export class Refusals {
  readonly counts: Record<OverloadReason, number> = { requests: 0, uploadsOfClient: 0, uploads: 0, eventLoopDelay: 0, heap: 0 }
  readonly #log: Log
  readonly #now: () => number
  readonly #nextLine = new Map<OverloadReason, number>()

  constructor (log: Log, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  /** The error that refuses a request. */
  refuse (reason: OverloadReason, retryAfterMs: number): Overload {
    this.counts[reason]++
    const overload = new Overload(reason, retryAfterMs)
    const now = this.#now()
    if (now >= (this.#nextLine.get(reason) ?? -Infinity)) {
      this.#nextLine.set(reason, now + LINE_MS)
      this.#log.warn({ limit: reason, refused: this.counts[reason] }, `requests are refused: ${String(overload.detail)}`)
    }
    return overload
  }
}
