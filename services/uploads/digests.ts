import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { readSmall } from '../errors/driver-error.js'
import type { Algorithm, Digest } from '../reference/reference.js'
import { CANONICAL, algorithmOf, digestOf, isDigest } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { ThreadHashes } from './hash-thread.js'
import type { HashThread } from './hash-thread.js'

/** Uploads up to this many bytes are hashed where they are received. A longer one waits so long for the thread. */
const MAX_HELD_BACK = 256 * 1024
const MAX_FILE_BYTES = 1024
const VERSION = 'version '

/** Digests of the first `offset` bytes of an upload, and of which version of its file, where the driver can tell. */
export interface DigestsAt { readonly offset: number, readonly version?: string | undefined, readonly digests: ReadonlyMap<Algorithm, Digest> }

/** The next bytes of an upload, to be written and hashed. */
export interface Batch {
  /** To be written. */
  readonly chunks: readonly Uint8Array[]
  /** To be called when writing has begun. What is returned resolves when there is room for the next batch. */
  hash (): Promise<void> | undefined
  /** To be called when writing is over. */
  written (): void
}

/** Hashes an upload while it arrives, under one or several algorithms at once: a long one in a thread, where there is one. */
export class RunningDigests {
  readonly algorithms: readonly Algorithm[]
  readonly #thread: HashThread | undefined
  /** Undefined until it is known whether there are enough bytes for the thread. */
  #hashes: readonly Hash[] | ThreadHashes | undefined
  /** What waits for that. */
  #heldBack: Uint8Array[] = []
  #heldBackBytes = 0
  #offset = 0
  #isLost = false
  /** Resolves when the thread has hashed what it was given. */
  #hashed: Promise<void> | undefined
  /** Of the file that holds what was hashed, as long as nothing is added. */
  version: string | undefined

  constructor (algorithms: Iterable<Algorithm>, thread?: HashThread) {
    this.algorithms = [...new Set([CANONICAL, ...algorithms])]
    this.#thread = thread
    if (thread === undefined) this.#hashHere()
  }

  /** Bytes it was given. Undefined when what they hash to is lost. */
  get offset (): number | undefined {
    return this.#isLost ? undefined : this.#offset
  }

  /** `discard` is called when the chunks are not needed any more, unless there are few. */
  take (chunks: readonly Buffer[], discard: (chunks: readonly Buffer[]) => void): Batch {
    const bytes = bytesOf(chunks)
    const hashes = this.#hashes ?? this.#choose(bytes)
    this.#offset += bytes
    if (hashes instanceof ThreadHashes) return this.#pass(hashes, chunks, bytes, discard)
    if (hashes !== undefined) return { chunks, hash: () => update(hashes, chunks), written: () => { discard(chunks) } }
    this.#heldBack.push(...chunks)
    this.#heldBackBytes += bytes
    return { chunks, hash: () => undefined, written: () => {} }
  }

  /** No more bytes come for now: holds none back any longer. */
  settle (): void {
    if (this.#heldBackBytes > 0) this.#hashHere()
  }

  /** The digests of what was given so far; hashing can go on. Undefined when they are lost. */
  async current (): Promise<DigestsAt | undefined> {
    const [offset, version] = [this.#offset, this.version]
    const hashes = this.#hashes ?? begun(this.algorithms, this.#heldBack)
    const hex = hashes instanceof ThreadHashes ? await hashes.digests() : hashes.map(hash => hash.copy().digest('hex'))
    if (hex === undefined || this.#isLost) return undefined
    return { offset, version, digests: digestsOf(this.algorithms, hex) }
  }

  #choose (bytes: number): readonly Hash[] | ThreadHashes | undefined {
    if (this.#heldBackBytes + bytes <= MAX_HELD_BACK) return this.#thread?.holdBack(bytes) === true ? undefined : this.#hashHere()
    const hashes = this.#thread?.open(this.algorithms)
    if (hashes === undefined) return this.#hashHere()
    this.#hashes = hashes
    if (this.#heldBackBytes > 0) this.#note(hashes.copy(this.#heldBack))
    this.#release()
    return hashes
  }

  #hashHere (): readonly Hash[] {
    const hashes = this.#hashes = begun(this.algorithms, this.#heldBack)
    this.#release()
    return hashes
  }

  #release (): void {
    this.#thread?.holdBack(-this.#heldBackBytes)
    this.#heldBack = []
    this.#heldBackBytes = 0
  }

  #pass (hashes: ThreadHashes, chunks: readonly Buffer[], bytes: number, discard: (chunks: readonly Buffer[]) => void): Batch {
    const before = this.#hashed
    const slot = hashes.share(chunks, bytes)
    if (slot !== undefined) discard(chunks)
    const hash = (): Promise<void> | undefined => {
      this.#note(slot === undefined ? hashes.copy(chunks) : hashes.update(slot))
      return before
    }
    return { chunks: slot === undefined ? chunks : [slot.content], hash, written: () => { if (slot === undefined) discard(chunks); else slot.release() } }
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
