import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { DriverError, isPathNotFound, orIfMissing } from '../errors/driver-error.js'
import { algorithmOf, digestOf } from '../reference/reference.js'
import type { Algorithm, Digest } from '../reference/reference.js'
import { BLOB_MEDIA_TYPE } from '../registry/blob-store.js'
import { blobPath } from '../registry/layout.js'
import type { BlobStatter, Descriptor } from '../registry/types.js'
import type { StorageDriver } from '../storage/driver.js'
import type { Problem } from './finding.js'
import type { Pace } from './pace.js'
import type { SetAside } from './quarantine.js'

// Counted as sizes: a cache with a maximum of entries has room for all of them from the start.
const MAX_KNOWN = { maxSize: 50_000, sizeCalculation: () => 1 }
const MAX_CORRUPT = { maxSize: 100_000, sizeCalculation: () => 1 }

export interface ContentsParts {
  readonly driver: StorageDriver
  readonly setAside: SetAside
  readonly pace: Pace
  /** What was written after this is not judged. */
  readonly before: Date
  /** Told of every piece of content that was read, with its size. */
  readonly onRead: (bytes: number) => void
  readonly signal: AbortSignal | undefined
}

/**
 * All content as the check sees it: what was found corrupt counts as not there, what a garbage collection has put aside
 * as there.
 */
export class Contents implements BlobStatter {
  readonly #parts: ContentsParts
  /** Of content that is there. That something is not there is never remembered. */
  readonly #known = new LRUCache<Digest, Descriptor>(MAX_KNOWN)
  /** When the corrupt file was written: another one is other content. */
  readonly #corrupt = new LRUCache<Digest, number>(MAX_CORRUPT)
  readonly #sha512 = new LRUCache<Digest, Digest>(MAX_KNOWN)

  constructor (parts: ContentsParts) {
    this.#parts = parts
  }

  async stat (digest: Digest): Promise<Descriptor | undefined> {
    const known = this.#known.get(digest)
    if (known !== undefined) return known
    await this.#parts.pace.spend()
    const found = await this.#find(digest)
    if (found === undefined) return undefined
    const descriptor = { mediaType: BLOB_MEDIA_TYPE, digest, size: found }
    this.#known.set(digest, descriptor)
    return descriptor
  }

  async clear (digest: Digest): Promise<void> {
    this.#known.delete(digest)
  }

  /** Reads the content and compares it with its name. What went away meanwhile is no problem. */
  async check (digest: Digest): Promise<Problem[]> {
    const { driver, onRead, before } = this.#parts
    const path = blobPath(digest)
    const file = await orIfMissing(driver.stat(path), undefined)
    if (file === undefined || file.isDirectory) return []
    const read = await this.#hash(digest, algorithmOf(digest))
    if (read === undefined) return []
    onRead(read.size)
    if (read.digest === digest) {
      this.#corrupt.delete(digest)
      return []
    }
    if (file.modified < before) this.#corrupt.set(digest, file.modified.getTime())
    await this.clear(digest)
    return [{ severity: 'corrupt', what: `its ${read.size} bytes are those of ${read.digest}`, fix: { kind: 'aside', path } }]
  }

  /** The digest of a piece of content under the other algorithm. Undefined when it is not there. */
  async sha512Of (canonical: Digest): Promise<Digest | undefined> {
    const known = this.#sha512.get(canonical)
    if (known !== undefined) return known
    const read = await this.#hash(canonical, 'sha512')
    if (read === undefined) return undefined
    this.#sha512.set(canonical, read.digest)
    return read.digest
  }

  async #find (digest: Digest): Promise<number | undefined> {
    const { driver, setAside } = this.#parts
    const file = await orIfMissing(driver.stat(blobPath(digest)), undefined)
    if (file?.isDirectory === false && this.#corrupt.get(digest) !== file.modified.getTime()) return file.size
    return file === undefined ? (await setAside.content(digest))?.size : undefined
  }

  async #hash (digest: Digest, algorithm: Algorithm): Promise<{ digest: Digest, size: number } | undefined> {
    const { driver, pace, signal } = this.#parts
    const path = blobPath(digest)
    const hash = createHash(algorithm)
    let size = 0
    await pace.spend()
    try {
      for await (const chunk of await driver.createReadStream(path)) {
        hash.update(chunk as Buffer)
        size += (chunk as Buffer).length
        await pace.spend((chunk as Buffer).length)
      }
    } catch (error) {
      if (isPathNotFound(error)) return undefined
      if (signal?.aborted === true || DriverError.is(error)) throw error
      throw new DriverError('failed', { driver: driver.name, path, cause: error })
    }
    return { digest: digestOf(algorithm, hash.digest('hex')), size }
  }
}
