import type { Readable } from 'node:stream'
import { isPathNotFound, orIfMissing } from '../errors/driver-error.js'
import { Quarantine } from '../garbage/quarantine.js'
import type { Digest } from '../reference/reference.js'
import type { ByteRange, StorageDriver } from '../storage/driver.js'
import { blobPath } from './layout.js'
import type { BlobStatter, Descriptor } from './types.js'

export const BLOB_MEDIA_TYPE = 'application/octet-stream'

/**
 * All content of the registry, each piece once, under its canonical digest. Knows nothing of repositories: what may be
 * seen through which repository is the business of {@link LinkedBlobStore}. Content that a garbage collection put aside
 * is put back by whoever asks for it.
 */
export class GlobalBlobStore implements BlobStatter {
  readonly #driver: StorageDriver
  readonly #redirects: boolean
  readonly #quarantine: Quarantine

  /** @param options.redirect false: clients are never sent to the storage itself */
  constructor (driver: StorageDriver, { redirect = true }: { readonly redirect?: boolean } = {}) {
    this.#driver = driver
    this.#redirects = redirect && driver.redirects !== false
    this.#quarantine = new Quarantine(driver)
  }

  async stat (digest: Digest): Promise<Descriptor | undefined> {
    return await this.#orPutBack(digest, async () => await this.#inPlace(digest))
  }

  /** Nothing is kept here that a delete would have to clear. */
  async clear (): Promise<void> {}

  /** Undefined when the content is not here. */
  async open (digest: Digest, range?: ByteRange): Promise<Readable | undefined> {
    return await this.#orPutBack(digest, async () => await orIfMissing(this.#driver.createReadStream(blobPath(digest), range), undefined))
  }

  /** A URL that serves the content in our place; null, at once where storage never has one. */
  redirectUrl (digest: Digest, method: 'GET' | 'HEAD'): Promise<string | null> | null {
    return this.#redirects ? this.#driver.redirectUrl(blobPath(digest), method) : null
  }

  /** Undefined when the content is not here. */
  async read (digest: Digest, maxBytes: number): Promise<Buffer | undefined> {
    return await this.#orPutBack(digest, async () => await orIfMissing(this.#driver.read(blobPath(digest), { maxBytes }), undefined))
  }

  /** Stores bytes the caller has hashed. */
  async put (digest: Digest, bytes: Uint8Array): Promise<void> {
    await this.#driver.write(blobPath(digest), bytes)
  }

  /** Whether the content is in its place. A copy of another size is damaged, and is removed. */
  async holds (digest: Digest, size: number): Promise<boolean> {
    const found = await this.#inPlace(digest)
    if (found === undefined || found.size === size) return found !== undefined
    await orIfMissing(this.#driver.delete(blobPath(digest)), undefined)
    return false
  }

  /** Takes over a file of verified, durable content. */
  async adopt (path: string, digest: Digest, size: number): Promise<void> {
    try {
      await this.#driver.move(path, blobPath(digest))
    } catch (error) {
      // Another session with the same content may have been faster, then the file can be gone with its session.
      if (!isPathNotFound(error) || (await this.stat(digest))?.size !== size) throw error
    }
  }

  async #inPlace (digest: Digest): Promise<Descriptor | undefined> {
    const found = await orIfMissing(this.#driver.stat(blobPath(digest)), undefined)
    return found === undefined || found.isDirectory ? undefined : { mediaType: BLOB_MEDIA_TYPE, digest, size: found.size }
  }

  async #orPutBack<T> (digest: Digest, look: () => Promise<T | undefined>): Promise<T | undefined> {
    const found = await look()
    if (found !== undefined) return found
    // Looked at again even when nothing was aside: somebody else may have put it back first.
    await this.#quarantine.restore(digest)
    return await look()
  }
}
