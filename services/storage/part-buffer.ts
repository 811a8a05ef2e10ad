import type { PartHolder, PartMemory } from './part-memory.js'

/** A part that is complete. Its bytes are good until `release` is called, once. */
export interface TakenPart { readonly bytes: Buffer, readonly release: () => void }

/**
 * Gathers the bytes of the next part of one upload, in memory that all uploads share. Grows as they come, and is whole
 * from the start after a part was full. Holds no memory before the first byte, and after `take` and `clear`.
 */
export class PartBuffer implements PartHolder {
  readonly letGo: () => Promise<void>
  readonly #memory: PartMemory
  #buffer: Buffer | undefined
  #length = 0
  #wasFull = false
  since = 0
  /** To be set while nobody works with the buffer. */
  isIdle = false

  /** @param letGo stores what was gathered and clears the buffer; called while it is idle, when others wait for memory */
  constructor (memory: PartMemory, letGo: () => Promise<void>) {
    this.#memory = memory
    this.letGo = letGo
  }

  get length (): number {
    return this.#length
  }

  /** What it holds of the memory of all. */
  get bytes (): number {
    return this.#buffer?.length ?? 0
  }

  get isFull (): boolean {
    return this.#length >= this.#memory.partBytes
  }

  /** Whether there is room for a byte, made at once where that is needed and possible. */
  hasRoom (): boolean {
    if (this.#length < this.bytes) return true
    const grown = this.#memory.tryTake(this.#memory.sizeFor(this.#wasFull ? Infinity : this.bytes + 1), this.bytes)
    if (grown !== undefined) this.#replace(grown)
    return grown !== undefined
  }

  /** Waits for room for so many bytes, a whole part unless told otherwise. Only while it is empty, so that nobody who waits holds memory. */
  async reserve (bytes = Infinity): Promise<void> {
    this.clear()
    this.#replace(await this.#memory.take(this.#memory.sizeFor(bytes)))
  }

  /** Copies as much as there is room for, and says how much. */
  append (chunk: Uint8Array): number {
    const count = Math.min(chunk.byteLength, this.bytes - this.#length)
    this.#buffer?.set(count === chunk.byteLength ? chunk : chunk.subarray(0, count), this.#length)
    this.#length += count
    return count
  }

  /** What was gathered, until the next `append` or `clear`. */
  view (): Buffer {
    return this.#buffer?.subarray(0, this.#length) ?? Buffer.alloc(0)
  }

  /** What was gathered; the next part begins. */
  take (): TakenPart {
    const bytes = this.view()
    const buffer = this.#buffer
    this.#wasFull ||= this.isFull
    this.#buffer = undefined
    this.#memory.release(this)
    this.#length = 0
    return { bytes, release: () => { if (buffer !== undefined) this.#memory.give(buffer) } }
  }

  cut (length: number): void {
    this.#length = length
  }

  clear (): void {
    this.take().release()
    this.#wasFull = false
  }

  #replace (buffer: Buffer): void {
    const old = this.#buffer
    buffer.set(this.view())
    this.#buffer = buffer
    if (old === undefined) {
      this.since = performance.now()
      this.#memory.hold(this)
    } else {
      this.#memory.give(old)
    }
  }
}
