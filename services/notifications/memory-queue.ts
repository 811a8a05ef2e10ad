import { Wakeup } from './queue.js'
import type { EventQueue, QueuedEvent, QueueLimits, Serialized } from './queue.js'

/** A queue that is lost with the process. */
export class MemoryQueue implements EventQueue {
  readonly isDurable = false
  readonly #limits: QueueLimits
  readonly #wakeup = new Wakeup()
  /** Those in front of the head are gone; from time to time they are cut off. */
  #entries: Array<Serialized | undefined> = []
  #head = 0
  /** Position of the first entry. */
  #first = 0
  #bytes = 0
  #dropped = 0

  constructor (limits: QueueLimits) {
    this.#limits = limits
  }

  get pending (): number {
    return this.#entries.length - this.#head
  }

  get dropped (): number {
    return this.#dropped
  }

  async append (events: readonly Serialized[]): Promise<void> {
    for (const event of events) {
      this.#entries.push(event)
      this.#bytes += event.json.length
    }
    while (this.pending > this.#limits.events || (this.#bytes > this.#limits.bytes && this.pending > 1)) {
      this.#removeOldest()
      this.#dropped++
    }
    this.#wakeup.wake()
  }

  async next (signal: AbortSignal): Promise<QueuedEvent | undefined> {
    while (!signal.aborted) {
      const entry = this.#entries[this.#head]
      if (entry !== undefined) return { event: entry.event, position: this.#first + this.#head }
      await this.#wakeup.wait(signal)
    }
    return undefined
  }

  async acknowledge ({ position }: QueuedEvent): Promise<void> {
    if (position === this.#first + this.#head) this.#removeOldest()
  }

  async close (): Promise<void> {}

  #removeOldest (): void {
    this.#bytes -= this.#entries[this.#head]?.json.length ?? 0
    this.#entries[this.#head++] = undefined
    if (this.#head < 1024 || this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#first += this.#head
    this.#head = 0
  }
}
