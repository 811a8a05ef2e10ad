import { buffer } from 'node:stream/consumers'
import { DriverError } from '../errors/driver-error.js'
import type { FileWriter } from './driver.js'
import { PartBuffer } from './part-buffer.js'
import type { PartMemory } from './part-memory.js'
import type { S3Object, S3Part } from './s3-bucket.js'
import { MIN_PART_BYTES, copyParts } from './s3-copy.js'
import { s3Error } from './s3-error.js'
import { bytesOf, complete, completeUpload, growingMetadata, growingOf, partsOf, versionOf } from './s3-growing.js'
import type { Growing, S3File } from './s3-growing.js'

/** Parts of one writer that are under way at a time. */
const MAX_IN_FLIGHT = 4

export interface S3WriterParts extends S3File { readonly memory: PartMemory }

/** What lies in the file's place, and counts: the first `size` bytes of it. `isCut` when that is less than all. */
interface Base { readonly size: number, readonly etag: string, readonly version: string, readonly growing: Growing | undefined, readonly isCut: boolean }

/**
 * Sends full parts to a multipart upload while more arrives. `close` puts what is left over in the file's place, with
 * the name of the upload: see `s3-growing.ts`. What an earlier writer left is only asked for when it is added to, and
 * stays as it is until `close`. When memory is short, what was gathered so far may be put there earlier, and is fetched
 * again when more comes.
 */
export class S3Writer implements FileWriter {
  readonly #parts: S3WriterParts
  readonly #buffer: PartBuffer
  readonly #inFlight = new Set<Promise<void>>()
  #base: Base
  #isOpen = true
  #isLoaded = false
  #isDirty = false
  #upload: Promise<string> | undefined
  /** Whether the upload may hold parts that are none of the file's. */
  #isMixed = false
  /** By number, less 1; those under way are missing. */
  #sent: Array<S3Part | undefined> = []
  /** Bytes of all parts, those under way too. */
  #sentBytes = 0
  #failure: unknown
  #lettingGo: Promise<void> | undefined

  constructor (parts: S3WriterParts, found: S3Object) {
    this.#parts = parts
    this.#buffer = new PartBuffer(parts.memory, async () => { await this.#letGo() })
    this.#base = baseOf(found)
  }

  get size (): number {
    return this.#isLoaded ? this.#sentBytes + this.#buffer.length : this.#base.size
  }

  get version (): string {
    return this.#base.version
  }

  async write (chunks: readonly Uint8Array[]): Promise<void> {
    if (chunks.every(({ byteLength }) => byteLength === 0)) return
    await this.#run(async () => {
      await this.#load()
      if (this.#failure !== undefined) await this.#settle()
      this.#isDirty = true
      for (let chunk of chunks) {
        while (chunk.byteLength > 0) {
          if (!this.#buffer.hasRoom()) await this.#makeRoom()
          chunk = chunk.subarray(this.#buffer.append(chunk))
          if (this.#buffer.isFull) await this.#send()
        }
      }
      if (this.#failure !== undefined) await this.#settle()
    })
  }

  async truncate (size: number): Promise<void> {
    await this.#run(async () => {
      await this.#settle().catch(() => {}) // that one was told
      if (size === this.#base.size) await this.#reset()
      else if (size === 0) await this.#restart()
      else if (size !== this.size) await this.#cut(size)
    })
  }

  async close ({ moving = false }: { readonly moving?: boolean } = {}): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    await this.#run(async () => {
      try {
        if (this.#isDirty) await (moving ? this.#complete() : this.#store())
      } finally {
        this.#buffer.clear()
      }
    })
  }

  async cancel (): Promise<void> {
    this.#isOpen = false
    await this.#run(async () => {
      await this.#settle().catch(() => {})
      this.#buffer.clear()
      const { bucket, path } = this.#parts
      for (const upload of await this.#uploads()) await bucket.abortUpload(bucket.key(path), upload)
      await bucket.delete([bucket.key(path)])
    })
  }

  async abandon (): Promise<void> {
    this.#isOpen = false
    await this.#run(async () => {
      await this.#settle().catch(() => {}) // nobody waits for them any more
      await this.#reset()
    })
  }

  /** Fetches what is needed to add to what is there: of most files nothing. */
  async #load ({ room = 1 } = {}): Promise<void> {
    if (this.#isLoaded) return
    const { bucket, path, copy, known } = this.#parts
    const { size, etag, growing } = this.#base
    const key = bucket.key(path)
    if (growing !== undefined) {
      this.#begin(known.get(growing.hash) ?? (await partsOf(bucket, path, growing)).slice(0, growing.count))
      this.#upload = Promise.resolve(growing.upload)
      this.#isMixed = true
    } else if (size >= MIN_PART_BYTES) {
      const upload = await this.#begun()
      this.#begin(await copyParts(bucket, { key, etag, size, end: size }, { key, upload }, copy))
    }
    const rest = size - this.#sentBytes
    if (rest > 0) {
      await this.#buffer.reserve(rest + room)
      this.#buffer.append(await buffer((await bucket.get(key, { range: `bytes=0-${rest - 1}`, etag })).body))
    }
    this.#isLoaded = true
  }

  /** Where memory is short: what is enough for a part is sent, what is not is stored, and the next part waits for its turn. */
  async #makeRoom (): Promise<void> {
    if (this.#buffer.length >= MIN_PART_BYTES) return await this.#send()
    if (this.#buffer.length === 0) return await this.#buffer.reserve()
    await this.#store()
    // With a whole part's room: else this might happen again and again.
    await this.#load({ room: Infinity })
  }

  /** Others wait for memory, and the client of this upload is slow. What fails is told to whoever writes next. */
  async #letGo (): Promise<void> {
    this.#lettingGo = this.#store().catch((error: unknown) => {
      this.#failure ??= error
      this.#buffer.clear()
    })
    await this.#lettingGo
    this.#lettingGo = undefined
  }

  /** Puts in the file's place what there is, as `close` does, and goes on from there. */
  async #store (): Promise<void> {
    await this.#save()
    this.#forget()
  }

  #begin (parts: readonly S3Part[]): void {
    this.#sent = [...parts]
    this.#sentBytes = bytesOf(parts)
  }

  /** The upload, which is made with its first part. */
  #begun (): Promise<string> {
    const { bucket, path } = this.#parts
    this.#upload ??= bucket.createUpload(bucket.key(path)).catch((error: unknown) => {
      this.#upload = undefined
      throw error
    })
    return this.#upload
  }

  /** Sends the buffer as the next part, and does not wait for it; what goes wrong is kept for `#settle`. */
  async #send (): Promise<void> {
    const { bucket, path } = this.#parts
    const key = bucket.key(path)
    const { bytes, release } = this.#buffer.take()
    const index = this.#sent.length
    this.#sent.push(undefined)
    this.#sentBytes += bytes.length
    while (this.#inFlight.size >= MAX_IN_FLIGHT) await Promise.race(this.#inFlight)
    const sending = this.#begun().then(upload => bucket.uploadPart(key, upload, index + 1, bytes))
      .then(part => { this.#sent[index] = part }, (error: unknown) => { this.#failure ??= error })
      .finally(() => { release(); this.#inFlight.delete(sending) })
    this.#inFlight.add(sending)
  }

  /** Waits for the parts under way. When one failed, the file ends before it. */
  async #settle (): Promise<void> {
    await Promise.all(this.#inFlight)
    if (this.#failure === undefined) return
    const failure = this.#failure
    this.#failure = undefined
    const missing = this.#sent.indexOf(undefined)
    if (missing >= 0) {
      this.#isMixed = true
      this.#sent.length = missing
      this.#sentBytes = bytesOf(this.#arrived())
      this.#buffer.clear()
    }
    throw failure
  }

  async #save (): Promise<void> {
    const { bucket, path, known } = this.#parts
    await this.#load()
    if (this.#upload !== undefined && this.#buffer.length >= MIN_PART_BYTES) await this.#send()
    await this.#settle()
    const upload = await this.#upload
    const parts = this.#arrived()
    const metadata = upload === undefined ? undefined : growingMetadata(upload, parts)
    const bytes = this.#buffer.view()
    const etag = await bucket.put(bucket.key(path), bytes, metadata)
    this.#base = baseOf({ size: bytes.length, etag, modified: new Date(0), metadata: metadata ?? {} })
    if (this.#base.growing !== undefined) known.set(this.#base.growing.hash, parts)
    this.#isDirty = false
  }

  /** Makes one object in the file's place of what there is: it is about to be moved. */
  async #complete (): Promise<void> {
    await this.#load()
    if (this.#upload === undefined || this.#isMixed) return await this.#store()
    if (this.#buffer.length > 0) await this.#send()
    await this.#settle()
    const { isOurs, ...found } = await completeUpload(this.#parts, await this.#begun(), this.#arrived())
    this.#forget()
    // Of what somebody else made of it meanwhile no version is known, and none is moved.
    this.#base = { ...baseOf(found), ...isOurs ? {} : { version: '' } }
    this.#isDirty = false
  }

  /** Back to what lies in the file's place. */
  async #reset (): Promise<void> {
    if (!this.#isLoaded) return
    const { bucket, path } = this.#parts
    const own = await this.#upload?.catch(() => undefined)
    this.#forget()
    this.#isDirty = this.#base.isCut
    // One that stays is ended with the session it belongs to.
    if (own !== undefined && own !== this.#base.growing?.upload) await bucket.abortUpload(bucket.key(path), own).catch(() => {})
  }

  async #restart (): Promise<void> {
    const { bucket, path } = this.#parts
    const key = bucket.key(path)
    const uploads = await this.#uploads()
    // In this order: what lies there must never name an upload that is gone.
    const etag = await bucket.put(key, Buffer.alloc(0))
    this.#forget()
    this.#base = baseOf({ size: 0, etag, modified: new Date(0), metadata: {} })
    this.#isDirty = false
    for (const upload of uploads) await bucket.abortUpload(key, upload).catch(() => {})
  }

  async #cut (size: number): Promise<void> {
    if (size > this.size) throw new DriverError('failed', { driver: 's3', path: this.#parts.path, detail: 'a file is not made longer' })
    await this.#load()
    this.#isDirty = true
    if (size >= this.#sentBytes) return this.#buffer.cut(size - this.#sentBytes)
    // Parts cannot be cut, nor read before they are an object.
    await this.#save()
    const { growing } = this.#base
    if (growing === undefined) throw new Error('parts without an upload')
    const { etag } = await complete(this.#parts, growing)
    this.#forget()
    this.#base = { ...baseOf({ size, etag, modified: new Date(0), metadata: {} }), isCut: true }
    this.#isDirty = true
  }

  #forget (): void {
    this.#isLoaded = false
    this.#upload = undefined
    this.#isMixed = false
    this.#sent = []
    this.#sentBytes = 0
    this.#buffer.clear()
  }

  async #uploads (): Promise<Set<string>> {
    return new Set([await this.#upload?.catch(() => undefined), this.#base.growing?.upload].filter(upload => upload !== undefined))
  }

  #arrived (): S3Part[] {
    return this.#sent.filter(part => part !== undefined)
  }

  async #run<T> (operation: () => Promise<T>): Promise<T> {
    this.#buffer.isIdle = false
    try {
      if (this.#lettingGo !== undefined) await this.#lettingGo
      return await operation()
    } catch (error) {
      throw s3Error(this.#parts.path, error)
    } finally {
      this.#buffer.isIdle = this.#isOpen
    }
  }
}

function baseOf (found: S3Object): Base {
  const growing = growingOf(found)
  return { size: found.size + (growing?.bytes ?? 0), etag: found.etag, version: versionOf(found), growing, isCut: false }
}
