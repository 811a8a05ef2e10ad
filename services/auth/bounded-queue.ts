import { OciError } from '../errors/oci-error.js'

export interface BoundedQueueOptions {
  /** Tasks that run at a time. */
  readonly concurrency: number
  /** Tasks that may wait. */
  readonly waiting: number
}

/** Runs a few tasks at a time, in the order they came, and lets only so many wait. */
export class BoundedQueue {
  readonly #options: BoundedQueueOptions
  readonly #waiting: Array<() => void> = []
  #running = 0

  constructor (options: BoundedQueueOptions) {
    this.#options = options
  }

  /** @throws {OciError} TOOMANYREQUESTS when too many wait already */
  async run<T> (task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#options.concurrency) this.#running++
    else await this.#turn()
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      // The place is handed on: nobody who comes in between gets it.
      if (next === undefined) this.#running--
      else next()
    }
  }

  async #turn (): Promise<void> {
    if (this.#waiting.length >= this.#options.waiting) {
      throw new OciError('TOOMANYREQUESTS', { detail: 'too many logins at once', headers: { 'retry-after': '1' } })
    }
    await new Promise<void>(resolve => { this.#waiting.push(resolve) })
  }
}
