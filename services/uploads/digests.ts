import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { readSmall } from '../errors/driver-error.js'
import type { Algorithm, Digest } from '../reference/reference.js'
import { CANONICAL, algorithmOf, digestOf, isDigest } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { ThreadHashes } from './hash-thread.js'
import type { HashThread } from './hash-thread.js'

/** A longer upload is hashed in the thread: that is decided when so many bytes have come. */
const MAX_SHORT_BYTES = 256 * 1024
const MAX_FILE_BYTES = 1024
const VERSION = 'version '

/** Digests of the first `offset` bytes of an upload, and of which version of its file, where the driver can tell. */
export interface DigestsAt { readonly offset: number, readonly version?: string | undefined, readonly digests: ReadonlyMap<Algorithm, Digest> }

type Discard = (chunks: readonly Buffer[]) => void

/** Some bytes of an upload, to be written and hashed. */
export interface Batch {
  /** What is to be written. */
  readonly chunks: readonly Buffer[]
  /** To be called when writing has begun. What is returned resolves when there is room for the next batch. */
  hash (): Promise<void> | undefined
  /** To be called when writing is over. */
  written (): void
}

/** Hashes an upload while it arrives, under one or several algorithms at once: a long one in a thread, where there is one. */
export class RunningDigests {
  readonly algorithms: readonly Algorithm[]
  readonly #thread: HashThread | undefined
  /** Undefined until it is known whether the upload is long. */
  #hashes: readonly Hash[] | ThreadHashes | undefined
  /** What waits for that. */
  #held: Buffer[] = []
  #heldBytes = 0
  #offset = 0
  #isLost = false
  /** Resolves when the thread has hashed all that it was given. */
  #hashed: Promise<void> | undefined
  /** Of the file that holds what was hashed, as long as nothing is added. */
  version: string | undefined

  constructor (algorithms: Iterable<Algorithm>, thread?: HashThread) {
    this.algorithms = [...new Set([CANONICAL, ...algorithms])]
    this.#thread = thread
    if (thread === undefined) this.#hashHere()
  }

  /** How many bytes it was given. Undefined when their hash is lost. */
  get offset (): number | undefined {
    return this.#isLost ? undefined : this.#offset
  }

  /** Takes the next bytes. Calls `discard` as soon as nobody needs the chunks; not for the first ones of an upload. */
  take (chunks: readonly Buffer[], discard: Discard = () => {}): Batch {
    const bytes = bytesOf(chunks)
    const hashes = this.#hashes ?? this.#choose(bytes)
    this.#offset += bytes
    if (hashes instanceof ThreadHashes) return this.#share(hashes, chunks, bytes, discard)
    if (hashes !== undefined) return { chunks, hash: () => update(hashes, chunks), written: () => { discard(chunks) } }
    this.#held.push(...chunks)
    this.#heldBytes += bytes
    return { chunks, hash: () => undefined, written: () => {} }
  }

  /** No more bytes come for now: what was held back is hashed. */
  settle (): void {
    if (this.#heldBytes > 0) this.#hashHere()
  }

  /** The digests of what it was given; hashing can go on. Undefined when they are lost. */
  async current (): Promise<DigestsAt | undefined> {
    const [offset, version] = [this.#offset, this.version]
    const hashes = this.#hashes ?? begun(this.algorithms, this.#held)
    const hex = hashes instanceof ThreadHashes ? await hashes.digests() : hashes.map(hash => hash.copy().digest('hex'))
    if (hex === undefined || this.#isLost) return undefined
    return { offset, version, digests: digestsOf(this.algorithms, hex) }
  }

  #choose (bytes: number): readonly Hash[] | ThreadHashes | undefined {
    if (this.#heldBytes + bytes <= MAX_SHORT_BYTES && this.#thread?.hold(bytes) === true) return undefined
    const hashes = this.#heldBytes + bytes > MAX_SHORT_BYTES ? this.#thread?.open(this.algorithms) : undefined
    if (hashes === undefined) return this.#hashHere()
    this.#hashes = hashes
    if (this.#heldBytes > 0) this.#note(hashes.updateWithCopy(this.#held))
    this.#letGo()
    return hashes
  }

  #hashHere (): readonly Hash[] {
    const hashes = this.#hashes = begun(this.algorithms, this.#held)
    this.#letGo()
    return hashes
  }

  #letGo (): void {
    this.#thread?.letGo(this.#heldBytes)
    this.#held = []
    this.#heldBytes = 0
  }

  #share (hashes: ThreadHashes, chunks: readonly Buffer[], bytes: number, discard: Discard): Batch {
    const before = this.#hashed
    const slot = hashes.share(chunks, bytes)
    if (slot === undefined) {
      this.#note(hashes.updateWithCopy(chunks))
      return { chunks, hash: () => before, written: () => { discard(chunks) } }
    }
    discard(chunks)
    this.#note(hashes.update(slot))
    return { chunks: [slot.content], hash: () => before, written: () => { slot.release() } }
  }

  #note (hashed: Promise<boolean>): void {
    this.#hashed = hashed.then(isHashed => { this.#isLost ||= !isHashed })
  }
}

function begun (algorithms: readonly Algorithm[], chunks: readonly Uint8Array[]): Hash[] {
  const hashes = algorithms.map(algorithm => createHash(algorithm))
  update(hashes, chunks)
  return hashes
}

function digestsOf (algorithms: readonly Algorithm[], hex: readonly string[]): Map<Algorithm, Digest> {
  return new Map(algorithms.map((algorithm, i) => [algorithm, digestOf(algorithm, hex[i] as string)]))
}

function update (hashes: readonly Hash[], chunks: readonly Uint8Array[]): undefined {
  for (const chunk of chunks) {
    for (const hash of hashes) hash.update(chunk)
  }
}

function bytesOf (chunks: readonly Uint8Array[]): number {
  let bytes = 0
  for (const { byteLength } of chunks) bytes += byteLength
  return bytes
}

/** Hashes a stored file from its beginning: what remains when no digest was kept, or one of another algorithm is asked for. */
export async function digestFile (driver: StorageDriver, path: string, algorithms: Iterable<Algorithm>): Promise<DigestsAt> {
  const all = [...new Set([CANONICAL, ...algorithms])]
  const hashes = begun(all, [])
  let offset = 0
  for await (const chunk of await driver.createReadStream(path) as AsyncIterable<Buffer>) {
    update(hashes, [chunk])
    offset += chunk.length
  }
  return { offset, digests: digestsOf(all, hashes.map(hash => hash.digest('hex'))) }
}

/**
 * Keeps the digests in the session's directory. A hash in progress cannot be serialised in Node, but its result can:
 * the closing PUT, on any process, then need not read the upload again. Not durable: a lost file costs a second read.
 */
export async function writeDigests (driver: StorageDriver, path: string, { offset, version, digests }: DigestsAt): Promise<void> {
  const lines = [offset, ...digests.values(), ...version === undefined ? [] : [`${VERSION}${version}`]]
  await driver.write(path, Buffer.from(lines.join('\n')), { durable: false })
}

/** Undefined when there are none or the file cannot be understood. */
export async function readDigests (driver: StorageDriver, path: string): Promise<DigestsAt | undefined> {
  const content = await readSmall(driver.read(path, { maxBytes: MAX_FILE_BYTES }))
  if (content === undefined) return undefined
  const lines = content.toString('latin1').split('\n')
  const version = lines.find(line => line.startsWith(VERSION))?.slice(VERSION.length)
  const [offset, ...digests] = lines.filter(line => !line.startsWith(VERSION))
  if (offset === undefined || !/^\d{1,16}$/.test(offset) || !digests.every(isDigest)) return undefined
  return { offset: Number(offset), version, digests: new Map(digests.map(digest => [algorithmOf(digest), digest])) }
}
