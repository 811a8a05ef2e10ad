import { Wakeup } from './queue.js'
import type { EventQueue, QueuedEvent, QueueLimits, Serialized } from './queue.js'

/** A queue that is lost with the process. */
export class MemoryQueue implements EventQueue {
  readonly isDurable = false
  readonly #limits: QueueLimits
  readonly #wakeup = new Wakeup()
  /** By position: a Map keeps the order of insertion, and its oldest entry goes without moving the others. */
  readonly #entries = new Map<number, Serialized>()
  #tail = 0
  #bytes = 0
  #dropped = 0

  constructor (limits: QueueLimits) {
    this.#limits = limits
  }

  get pending (): number {
    return this.#entries.size
  }

  get dropped (): number {
    return this.#dropped
  }

  async append (events: readonly Serialized[]): Promise<void> {
    for (const event of events) {
      this.#entries.set(this.#tail++, event)
      this.#bytes += event.json.length
    }
    while (this.#entries.size > this.#limits.events || (this.#bytes > this.#limits.bytes && this.#entries.size > 1)) {
      this.#remove(this.#oldest() ?? 0)
      this.#dropped++
    }
    this.#wakeup.wake()
  }

  async next (signal: AbortSignal): Promise<QueuedEvent | undefined> {
    while (!signal.aborted) {
      const position = this.#oldest()
      const entry = position === undefined ? undefined : this.#entries.get(position)
      if (position !== undefined && entry !== undefined) return { event: entry.event, position }
      await this.#wakeup.wait(signal)
    }
    return undefined
  }

  async acknowledge ({ position }: QueuedEvent): Promise<void> {
    this.#remove(Number(position))
  }

  async close (): Promise<void> {}

  #oldest (): number | undefined {
    return this.#entries.keys().next().value
  }

  #remove (position: number): void {
    this.#bytes -= this.#entries.get(position)?.json.length ?? 0
    this.#entries.delete(position)
  }
}
