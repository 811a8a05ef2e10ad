const FIRST_BYTES = 64 * 1024

/** Gathers the bytes of the next part. Grows as they come: most uploads are far smaller than a part. */
export class PartBuffer {
  readonly #limit: number
  #bytes: Buffer = Buffer.alloc(0)
  #length = 0
  /** What the first allocation of a part takes: all of it, after a part was full. */
  #first = FIRST_BYTES

  constructor (limit: number) {
    this.#limit = limit
  }

  get length (): number {
    return this.#length
  }

  get isFull (): boolean {
    return this.#length >= this.#limit
  }

  /** Copies as much as there is room for, and says how much. */
  append (chunk: Uint8Array): number {
    const count = Math.min(chunk.byteLength, this.#limit - this.#length)
    this.#reserve(this.#length + count)
    this.#bytes.set(count === chunk.byteLength ? chunk : chunk.subarray(0, count), this.#length)
    this.#length += count
    return count
  }

  /** What was gathered, until the next `append`. */
  view (): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** What was gathered, for good; the next part begins. */
  take (): Buffer {
    const taken = this.view()
    if (this.isFull) this.#first = this.#limit
    this.clear()
    return taken
  }

  cut (length: number): void {
    this.#length = length
  }

  clear (): void {
    this.#bytes = Buffer.alloc(0)
    this.#length = 0
  }

  #reserve (length: number): void {
    if (length <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(this.#first, length, this.#bytes.length * 2)))
    grown.set(this.view())
    this.#bytes = grown
  }
}
