import type { Serialized } from './queue.js'

/** Events that are to be written together, and whoever waits for that. */
export interface Append { readonly events: readonly Serialized[], readonly written: () => void }

/**
 * What was appended to a queue and is not written yet, in order. While something is written the rest collects here, but
 * no more than so many: the oldest of a storage that hangs are given up, and counted.
 */
export class Appends {
  #waiting: Append[] = []
  #dropped = 0
  #writing: Promise<void> | undefined
  readonly #limit: number
  readonly #write: () => Promise<boolean>

  /**
   * `write` is called as long as there is something, never twice at a time, and takes out what it has written. False
   * when there is no use in going on.
   */
  constructor (limit: number, write: () => Promise<boolean>) {
    this.#limit = limit
    this.#write = write
  }

  /** Events that wait. */
  get pending (): number {
    return this.#waiting.reduce((sum, { events }) => sum + events.length, 0)
  }

  get dropped (): number {
    return this.#dropped
  }

  get first (): Append | undefined {
    return this.#waiting[0]
  }

  /** Resolves when the events were written, or given up. */
  async add (events: readonly Serialized[]): Promise<void> {
    await new Promise<void>(resolve => {
      this.#waiting.push({ events, written: resolve })
      if (this.#waiting.length > this.#limit) this.#dropOldest()
      this.#writing ??= this.#writeAll()
    })
  }

  /** Takes out everything. */
  takeAll (): readonly Append[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }

  /** Takes out the first one, unless it was given up meanwhile. */
  done (append: Append): void {
    if (this.#waiting[0] === append) this.#waiting.shift()
    append.written()
  }

  /** Resolves when nothing is being written. */
  async settled (): Promise<void> {
    await this.#writing
  }

  async #writeAll (): Promise<void> {
    while (this.#waiting.length > 0 && await this.#write());
    // In the same turn in which nothing was left: what comes next begins anew.
    this.#writing = undefined
  }

  #dropOldest (): void {
    const oldest = this.#waiting.shift()
    this.#dropped += oldest?.events.length ?? 0
    oldest?.written()
  }
}
