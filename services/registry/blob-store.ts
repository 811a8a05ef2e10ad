import type { Readable } from 'node:stream'
import { isPathNotFound, orIfMissing } from '../errors/driver-error.js'
import type { Digest } from '../reference/reference.js'
import type { ByteRange, StorageDriver } from '../storage/driver.js'
import { blobPath } from './layout.js'
import type { BlobStatter, Descriptor } from './types.js'

export const BLOB_MEDIA_TYPE = 'application/octet-stream'

/**
 * All content of the registry, each piece once, under its canonical digest. Knows nothing of repositories: what may be
 * seen through which repository is the business of {@link LinkedBlobStore}.
 */
export class GlobalBlobStore implements BlobStatter {
  readonly #driver: StorageDriver

  constructor (driver: StorageDriver) {
    this.#driver = driver
  }

  async stat (digest: Digest): Promise<Descriptor | undefined> {
    const found = await orIfMissing(this.#driver.stat(blobPath(digest)), undefined)
    return found === undefined || found.isDirectory ? undefined : { mediaType: BLOB_MEDIA_TYPE, digest, size: found.size }
  }

  /** Nothing is kept here that a delete would have to clear. */
  async clear (): Promise<void> {}

  /** Undefined when the content is not here. */
  async open (digest: Digest, range?: ByteRange): Promise<Readable | undefined> {
    return await orIfMissing(this.#driver.createReadStream(blobPath(digest), range), undefined)
  }

  /** Undefined when the content is not here. */
  async read (digest: Digest, maxBytes: number): Promise<Buffer | undefined> {
    return await orIfMissing(this.#driver.read(blobPath(digest), { maxBytes }), undefined)
  }

  /** Stores bytes the caller has hashed. Content that is here already is left as it is. */
  async put (digest: Digest, bytes: Uint8Array): Promise<void> {
    const found = await this.stat(digest)
    if (found?.size !== bytes.byteLength) await this.#driver.write(blobPath(digest), bytes)
  }

  /**
   * Takes over a file of verified, durable content. Where the same content is here already the file is dropped; a
   * copy of another size is damaged and gives way.
   */
  async adopt (path: string, digest: Digest, size: number): Promise<Descriptor> {
    const found = await this.stat(digest)
    if (found?.size === size) return found
    try {
      await this.#driver.move(path, blobPath(digest))
    } catch (error) {
      // Another session with the same content may have been faster, then the file can be gone with its session.
      if (!isPathNotFound(error) || (await this.stat(digest))?.size !== size) throw error
    }
    return { mediaType: BLOB_MEDIA_TYPE, digest, size }
  }
}
