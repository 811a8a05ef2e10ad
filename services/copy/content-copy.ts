import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { DriverError, orIfMissing } from '../errors/driver-error.js'
import { algorithmOf, digestOf, hexOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import { GlobalBlobStore } from '../registry/blob-store.js'
import { blobPath } from '../registry/layout.js'
import type { FileWriter, StorageDriver } from '../storage/driver.js'
import type { Pace } from '../verify/pace.js'

/** Where content lies until it is verified: outside the tree of docker's registry. */
export const STAGING = '/oci-registry/copy'
/** What is not longer is read whole, and written at once. */
const SMALL_BYTES = 1024 * 1024
const MAX_REMEMBERED = { maxSize: 200_000, sizeCalculation: () => 1 }

export interface ContentCopyParts {
  readonly from: StorageDriver
  readonly to: StorageDriver
  readonly pace: Pace
  /** Names the directory of this run. */
  readonly run: string
  /** Told of bytes that were read. */
  readonly onRead: (bytes: number) => void
  /** Told of content that was copied, or was there already. */
  readonly onContent: (isCopied: boolean) => void
}

/** Content that is not what its name says. */
export class DamagedContent extends Error {}

/** Brings content to another storage, each piece once, and never one that does not match its digest. */
export class ContentCopy {
  readonly #parts: ContentCopyParts
  readonly #source: GlobalBlobStore
  readonly #there = new LRUCache<Digest, true>(MAX_REMEMBERED)
  readonly #running = new Map<Digest, Promise<boolean>>()

  constructor (parts: ContentCopyParts) {
    this.#parts = parts
    this.#source = new GlobalBlobStore(parts.from)
  }

  /**
   * Resolves when the content is in its place in the target; false when it is not there, nor in the source.
   *
   * @throws {DamagedContent} when its bytes are not those of the digest; {@link DriverError}
   */
  async ensure (digest: Digest): Promise<boolean> {
    if (this.#there.has(digest)) return true
    const running = this.#running.get(digest)
    if (running !== undefined) return await running
    const copying = this.#ensure(digest).finally(() => { this.#running.delete(digest) })
    this.#running.set(digest, copying)
    return await copying
  }

  async #ensure (digest: Digest): Promise<boolean> {
    const { to, pace, onContent } = this.#parts
    await pace.spend()
    const [source, target] = await Promise.all([this.#source.verify(digest), orIfMissing(to.stat(blobPath(digest)), undefined)])
    const size = target?.isDirectory === false ? target.size : undefined
    if (source === undefined && size === undefined) return false
    // What is there was put there whole, and verified, by a registry or by an earlier run.
    const isThere = source === undefined || size === source.size
    if (!isThere) await this.#copy(digest, source.size)
    this.#there.set(digest, true)
    onContent(!isThere)
    return true
  }

  async #copy (digest: Digest, size: number): Promise<void> {
    const { to, run } = this.#parts
    if (size <= SMALL_BYTES) {
      const chunks: Buffer[] = []
      await this.#read(digest, async chunk => { chunks.push(chunk) })
      await to.write(blobPath(digest), Buffer.concat(chunks))
      return
    }
    const path = `${STAGING}/${run}/${hexOf(digest)}`
    const writer = await to.openWriter(path)
    try {
      await this.#read(digest, async chunk => { await writer.write([chunk]) })
      await writer.close()
      await to.move(path, blobPath(digest))
    } catch (error) {
      await cancelled(writer)
      throw error
    }
  }

  /** Hands over all bytes, and throws unless they are what they should be. */
  async #read (digest: Digest, sink: (chunk: Buffer) => Promise<void>): Promise<void> {
    const { from, pace, onRead } = this.#parts
    const algorithm = algorithmOf(digest)
    const hash: Hash = createHash(algorithm)
    let size = 0
    for await (const piece of await from.createReadStream(blobPath(digest))) {
      const chunk = piece as Buffer
      hash.update(chunk)
      size += chunk.length
      await sink(chunk)
      onRead(chunk.length)
      await pace.spend(chunk.length)
    }
    const found = digestOf(algorithm, hash.digest('hex'))
    if (found !== digest) throw new DamagedContent(`its ${size} bytes in the source are those of ${found}`)
  }
}

/** The first error is the one to tell; what stays is removed by the next run. */
async function cancelled (writer: FileWriter): Promise<void> {
  await writer.cancel().catch((error: unknown) => {
    if (!DriverError.is(error)) throw error
  })
}
