import { randomUUID } from 'node:crypto'
import { DriverError } from '../errors/driver-error.js'
import type { FileWriter } from './driver.js'
import { versionOf } from './flat-store.js'
import type { FlatStore, StoredObject } from './flat-store.js'
import { PartBuffer } from './part-buffer.js'
import type { PartMemory } from './part-memory.js'
import { storedStream } from './resumed-stream.js'

/** Pieces of one writer that are under way at a time. */
const MAX_IN_FLIGHT = 4

/** The key in an object's metadata with which a writer knows its own work again. */
export const MARK = 'ocimark'

export interface Piece { readonly size: number }
/** Replaces the object that still has this etag, by one that carries the mark. */
export interface Replacing { readonly etag: string, readonly mark: string }

/** How a store takes an object in pieces. One per writer; errors are those of the store's client. */
export interface Pieces<P extends Piece> {
  /** What of the object can stay where it is when the file goes on at `size`: whole pieces, from the first on. */
  keep (key: string, object: Pick<StoredObject, 'size' | 'etag'>, size: number): Promise<P[]>
  /** Sends one more, of which nothing is seen before `join`. */
  send (key: string, body: Buffer): Promise<P>
  /** Makes the object of these pieces, at once, and says its etag. */
  join (key: string, pieces: readonly P[], replacing: Replacing): Promise<string>
  /** Makes the object of these bytes, and says its etag. */
  replace (key: string, body: Buffer, replacing: Replacing): Promise<string>
  /** Throws away pieces that were sent and will not be joined. */
  drop (pieces: readonly P[]): Promise<void>
  /** Whether the error says that the object has another etag, or is gone. */
  isConflict (error: unknown): boolean
}

export interface PieceWriterParts<P extends Piece> {
  readonly driver: string
  readonly store: FlatStore
  readonly pieces: Pieces<P>
  readonly path: string
  /** How long a piece is, and the room for those of all writers. */
  readonly memory: PartMemory
  readonly wrap: (path: string, error: unknown) => DriverError
}

/** What lies in the store, and counts: the first `size` bytes of `stored`. */
interface Base { readonly etag: string, readonly size: number, readonly stored: number }

/**
 * Sends full pieces while more arrives. `close` makes one object of what was there and what was sent, at once and only
 * if nobody else wrote to it: what an earlier writer left stays as it is until then, and a writer that comes too late,
 * from a server that was thought dead, changes nothing. When memory is short, pieces are sent before they are full.
 */
export class PieceWriter<P extends Piece> implements FileWriter {
  readonly #parts: PieceWriterParts<P>
  readonly #key: string
  readonly #buffer: PartBuffer
  readonly #inFlight = new Set<Promise<void>>()
  #base: Base
  #isOpen = true
  #isLoaded = false
  #isDirty = false
  /** In order; those under way are missing. The first `#kept` lie in the object already. */
  #sent: Array<P | undefined> = []
  #kept = 0
  /** Bytes of all pieces, those under way too. */
  #sentBytes = 0
  #failure: unknown
  #lettingGo: Promise<void> | undefined

  constructor (parts: PieceWriterParts<P>, { etag, size }: StoredObject) {
    this.#parts = parts
    this.#key = parts.store.key(parts.path)
    this.#buffer = new PartBuffer(parts.memory, async () => { await this.#letGo() })
    this.#base = { etag, size, stored: size }
  }

  get size (): number {
    return this.#isLoaded ? this.#sentBytes + this.#buffer.length : this.#base.size
  }

  get version (): string {
    return versionOf(this.#base)
  }

  async write (chunks: readonly Uint8Array[]): Promise<void> {
    if (chunks.every(({ byteLength }) => byteLength === 0)) return
    await this.#run(async () => {
      await this.#load()
      if (this.#failure !== undefined) await this.#settle()
      this.#isDirty = true
      for (const chunk of chunks) await this.#append(chunk)
      if (this.#failure !== undefined) await this.#settle()
    })
  }

  async truncate (size: number): Promise<void> {
    await this.#run(async () => {
      await this.#settle().catch(() => {}) // that one was told
      if (size <= this.#base.size) return await this.#reset(size)
      if (size > this.size) throw this.#error('failed', 'a file is not made longer')
      if (size >= this.#sentBytes) return this.#buffer.cut(size - this.#sentBytes)
      // Pieces cannot be cut before they are an object.
      await this.#save()
      this.#base = { ...this.#base, size }
      this.#isDirty = true
    })
  }

  async close (): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#run(async () => {
      try {
        if (this.#isDirty) await this.#save()
      } finally {
        this.#buffer.clear()
      }
    })
  }

  async cancel (): Promise<void> {
    this.#isOpen = false
    await this.#run(async () => {
      await this.#settle().catch(() => {})
      await this.#reset(0)
      await this.#parts.store.delete([this.#key])
    })
  }

  /** What was sent goes; what lies in the store is somebody else's. */
  async abandon (): Promise<void> {
    this.#isOpen = false
    await this.#run(async () => {
      await this.#settle().catch(() => {})
      await this.#reset(this.#base.size)
    })
  }

  /** Finds out what can stay of what is there, and fetches the rest. */
  async #load (): Promise<void> {
    if (this.#isLoaded) return
    const { store, pieces, path, wrap } = this.#parts
    const { etag, size, stored } = this.#base
    try {
      this.#sent = size === 0 ? [] : await pieces.keep(this.#key, { etag, size: stored }, size)
      this.#kept = this.#sent.length
      this.#sentBytes = bytesOf(this.#arrived())
      if (this.#sentBytes < size) {
        const start = this.#sentBytes
        const found = await store.get(this.#key, { range: `bytes=${start}-${size - 1}`, etag })
        for await (const chunk of storedStream(store, this.#key, found, { start, wrap: error => wrap(path, error) })) await this.#append(chunk as Buffer)
      }
      this.#isLoaded = true
    } catch (error) {
      this.#forget()
      throw error
    }
  }

  async #append (chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.byteLength > 0;) {
      if (!this.#buffer.hasRoom()) await this.#makeRoom()
      rest = rest.subarray(this.#buffer.append(rest))
      if (this.#buffer.isFull) await this.#send()
    }
  }

  /** Where memory is short: what there is, is sent, and the next piece waits for its turn. */
  async #makeRoom (): Promise<void> {
    if (this.#buffer.length > 0) await this.#send()
    await this.#buffer.reserve()
  }

  /** Others wait for memory, and the client of this upload is slow. */
  async #letGo (): Promise<void> {
    this.#lettingGo = this.#send()
    await this.#lettingGo
    this.#lettingGo = undefined
  }

  /** Sends what was gathered. What becomes of it is seen by `#settle`. */
  async #send (): Promise<void> {
    const { bytes, release } = this.#buffer.take()
    const index = this.#sent.length
    this.#sent.push(undefined)
    this.#sentBytes += bytes.length
    while (this.#inFlight.size >= MAX_IN_FLIGHT) await Promise.race(this.#inFlight)
    if (this.#failure !== undefined) return release() // the file ends before this one
    const sending = this.#parts.pieces.send(this.#key, bytes)
      .then(piece => { this.#sent[index] = piece }, (error: unknown) => { this.#failure ??= error })
      .finally(() => { release(); this.#inFlight.delete(sending) })
    this.#inFlight.add(sending)
  }

  /** Waits for the pieces under way. When one failed, the file ends before it. */
  async #settle (): Promise<void> {
    await Promise.all(this.#inFlight)
    if (this.#failure === undefined) return
    const failure = this.#failure
    this.#failure = undefined
    const missing = this.#sent.indexOf(undefined)
    if (missing >= 0) {
      const lost = this.#sent.splice(missing).filter(piece => piece !== undefined)
      this.#sentBytes = bytesOf(this.#arrived())
      this.#buffer.clear()
      await this.#parts.pieces.drop(lost).catch(() => {}) // the failure is the one to tell
    }
    throw failure
  }

  async #save (): Promise<void> {
    const { pieces } = this.#parts
    await this.#load()
    await this.#settle()
    if (this.#sent.length > 0 && this.#buffer.length > 0) {
      await this.#send()
      await this.#settle()
    }
    const { size } = this
    const sent = this.#arrived()
    const etag = await this.#commit(replacing => sent.length === 0
      ? pieces.replace(this.#key, this.#buffer.view(), replacing)
      : pieces.join(this.#key, sent, replacing))
    this.#forget()
    this.#base = { etag, size, stored: size }
    this.#isDirty = false
  }

  async #commit (commit: (replacing: Replacing) => Promise<string>): Promise<string> {
    const { store, pieces } = this.#parts
    const mark = randomUUID()
    try {
      return await commit({ etag: this.#base.etag, mark })
    } catch (error) {
      if (!pieces.isConflict(error)) throw error
      const found = await store.head(this.#key)
      if (found === undefined) throw this.#error('path-not-found')
      // The answer to an attempt of ours was lost.
      if (found.metadata[MARK] === mark) return found.etag
      throw this.#error('failed', 'somebody else has written to the file')
    }
  }

  /** Back to the first `size` bytes of what lies in the store. */
  async #reset (size: number): Promise<void> {
    const own = this.#sent.slice(this.#kept).filter(piece => piece !== undefined)
    this.#forget()
    this.#base = { ...this.#base, size }
    this.#isDirty = size !== this.#base.stored
    await this.#parts.pieces.drop(own).catch(() => {}) // goes with the directory
  }

  #forget (): void {
    this.#isLoaded = false
    this.#sent = []
    this.#kept = 0
    this.#sentBytes = 0
    this.#buffer.clear()
  }

  #arrived (): P[] {
    return this.#sent.filter(piece => piece !== undefined)
  }

  #error (kind: 'failed' | 'path-not-found', detail?: string): DriverError {
    const { driver, path } = this.#parts
    return new DriverError(kind, { driver, path, ...detail === undefined ? {} : { detail } })
  }

  async #run<T> (operation: () => Promise<T>): Promise<T> {
    this.#buffer.isIdle = false
    try {
      if (this.#lettingGo !== undefined) await this.#lettingGo
      return await operation()
    } catch (error) {
      throw this.#parts.wrap(this.#parts.path, error)
    } finally {
      this.#buffer.isIdle = this.#isOpen
    }
  }
}

function bytesOf (pieces: readonly Piece[]): number {
  return pieces.reduce((total, { size }) => total + size, 0)
}
