/** What lines are written to, at once: pino's destination. */
export interface LineDestination {
  write (text: string): unknown
}

/** The most that is written to a pipe in one piece: lines of several processes that share one do not get mixed up. */
export const ATOMIC_BYTES = 4096

/**
 * Lines in their order. What is urgent is written at once. Lines that come by the thousand wait for each other until the
 * turn of the event loop is over, and become one write; a process that is killed loses no more than these.
 */
export class LineOutput {
  readonly #destination: LineDestination
  readonly #limit: number
  #waiting = ''
  #bytes = 0
  #scheduled = false

  /** @param limit the most bytes of lines that are written in one piece */
  constructor (destination: LineDestination, limit = ATOMIC_BYTES) {
    this.#destination = destination
    this.#limit = limit
  }

  write (line: string): void {
    this.flush()
    this.#destination.write(line)
  }

  writeSoon (line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#bytes + bytes > this.#limit) this.flush()
    this.#waiting += line
    this.#bytes += bytes
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  flush (): void {
    const text = this.#waiting
    if (text === '') return
    this.#waiting = ''
    this.#bytes = 0
    this.#destination.write(text)
  }
}
