import { close, read } from 'node:fs'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'

/** 256 KiB is where larger reads stop paying. */
const BUFFER_BYTES = 256 * 1024
/** Buffers that are kept for the next stream: 8 MiB. */
const MAX_POOLED = 32

const readInto = promisify(read)
const closeFile = promisify(close)
const pool: Buffer[] = []

/**
 * Bytes `start` to `end` (inclusive) of an open file, which it closes. Piped into a response it reads into two pooled
 * buffers in turn: one is filled while the other is being sent, and nothing is allocated. Read in any other way it is
 * a Readable like every other.
 */
export class FileStream extends Readable {
  readonly #fd: number
  readonly #end: number
  #position: number
  /** The read that is under way: the file must not be closed under it. */
  #reading: Promise<unknown> = Promise.resolve()

  constructor (fd: number, { start, end }: { readonly start: number, readonly end: number }) {
    super({ highWaterMark: BUFFER_BYTES })
    this.#fd = fd
    this.#position = start
    this.#end = end
  }

  override pipe<T extends NodeJS.WritableStream> (destination: T, { end = true }: { end?: boolean } = {}): T {
    this.#send(destination).then(isComplete => {
      if (!isComplete) return this.destroy()
      if (end) destination.end()
      // Nothing was pushed, so this is the end of the stream for whoever waits for it.
      this.push(null)
      this.resume()
    }, (error: Error) => { this.destroy(error) })
    return destination
  }

  override _read (): void {
    const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, this.#left))
    this.#fill(buffer).then(bytes => { this.push(bytes === 0 ? null : buffer.subarray(0, bytes)) }, (error: Error) => { this.destroy(error) })
  }

  override _destroy (error: Error | null, callback: (error: Error | null) => void): void {
    this.#reading.catch(() => {}).then(async () => await closeFile(this.#fd)).then(() => { callback(error) }, (failure: Error) => { callback(error ?? failure) })
  }

  get #left (): number {
    return this.#end - this.#position + 1
  }

  /** False when the destination failed, or the stream was destroyed, on the way. */
  async #send (destination: NodeJS.WritableStream): Promise<boolean> {
    const slots = [new Slot(), new Slot()] as const
    for (let turn = 0; this.#left > 0; turn ^= 1) {
      const slot = slots[turn] as Slot
      if (!await slot.sent || this.destroyed) return false
      const bytes = await this.#fill(slot.buffer)
      if (this.destroyed) return false
      slot.send(destination, bytes)
    }
    const areSent = await Promise.all([slots[0].sent, slots[1].sent])
    if (this.destroyed || areSent.includes(false)) return false
    for (const slot of slots) slot.free()
    return true
  }

  async #fill (buffer: Buffer): Promise<number> {
    const wanted = Math.min(buffer.length, this.#left)
    if (wanted === 0) return 0
    const reading = readInto(this.#fd, buffer, 0, wanted, this.#position)
    this.#reading = reading
    const { bytesRead } = await reading
    // Its length was announced; an answer that just stops would look complete to nobody.
    if (bytesRead === 0) throw new Error('the file is shorter than it was')
    this.#position += bytesRead
    return bytesRead
  }
}

/** A pooled buffer and the write that last used it. Only a write that has ended gives the buffer back. */
class Slot {
  readonly buffer: Buffer = pool.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
  /** False when the destination could not take it; it says itself why. */
  sent: Promise<boolean> = Promise.resolve(true)

  send (destination: NodeJS.WritableStream, bytes: number): void {
    const chunk = bytes === this.buffer.length ? this.buffer : this.buffer.subarray(0, bytes)
    this.sent = new Promise(resolve => {
      destination.write(chunk, error => { resolve(error === null || error === undefined) })
    })
  }

  free (): void {
    if (pool.length < MAX_POOLED) pool.push(this.buffer)
  }
}
