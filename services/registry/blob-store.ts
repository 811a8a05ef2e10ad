import type { Readable } from 'node:stream'
import { Descriptors } from '../cache/descriptors.js'
import type { ScopedDescriptors } from '../cache/descriptors.js'
import { isPathNotFound, orIfMissing } from '../errors/driver-error.js'
import { Quarantine } from '../garbage/quarantine.js'
import type { Digest } from '../reference/reference.js'
import type { ByteRange, Change, FileInfo, MoveOptions, StorageDriver } from '../storage/driver.js'
import { inOrder } from '../storage/in-order.js'
import type { Settling } from '../storage/settling.js'
import { blobPath } from './layout.js'
import type { BlobStatter, Descriptor, Eventually } from './types.js'

/** As often content is put back for one who asks for it. */
const MAX_RESTORES = 3

export const BLOB_MEDIA_TYPE = 'application/octet-stream'

export interface GlobalBlobStoreOptions {
  /** Remembers nothing unless told otherwise. */
  readonly descriptors?: Descriptors
  /** False: clients are never sent to the storage itself. */
  readonly redirect?: boolean
}

/**
 * All content of the registry, each piece once, under its canonical digest. Knows nothing of repositories: what may be
 * seen through which repository is the business of {@link LinkedBlobStore}. Content that a garbage collection put aside
 * is put back by whoever asks storage for it.
 */
export class GlobalBlobStore implements BlobStatter {
  readonly #driver: StorageDriver
  readonly #redirects: boolean
  readonly #quarantine: Quarantine
  readonly #entries: ScopedDescriptors
  readonly #load = (digest: Digest): Eventually<Descriptor | undefined> => this.verify(digest)

  constructor (driver: StorageDriver, { descriptors = new Descriptors(), redirect = true }: GlobalBlobStoreOptions = {}) {
    this.#driver = driver
    this.#redirects = redirect && driver.redirects !== false
    this.#quarantine = new Quarantine(driver)
    this.#entries = descriptors.of()
  }

  stat (digest: Digest): Eventually<Descriptor | undefined> {
    return this.#entries.stat(digest, this.#load)
  }

  verify (digest: Digest): Eventually<Descriptor | undefined> {
    const found = this.#inPlace(digest)
    return found === undefined || found instanceof Promise ? this.#orPutBack(digest, () => this.#inPlace(digest), found) : found
  }

  /** The content was put aside: resolves when no process remembers it, in whatever repository. */
  async clear (digest: Digest): Promise<void> {
    await this.#entries.clear([digest])
  }

  /** Runs `write`, which stores the content, and remembers it. */
  async remember (digest: Digest, write: () => Promise<Descriptor>): Promise<Descriptor> {
    return await this.#entries.remember([digest], write)
  }

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
    await inOrder(this.#driver, [this.addition(digest, bytes)])
  }

  /** What stores them. */
  addition (digest: Digest, bytes: Uint8Array, settling?: Settling): Change {
    return { path: blobPath(digest), content: bytes, options: { settling } }
  }

  /** Whether the content is in its place. A copy of another size is damaged, and is removed. */
  async holds (digest: Digest, size: number): Promise<boolean> {
    const found = await this.#inPlace(digest)
    if (found === undefined || found.size === size) return found !== undefined
    await orIfMissing(this.#driver.delete(blobPath(digest)), undefined)
    await this.#entries.clear([digest])
    return false
  }

  /** What takes over a file of verified, durable content; `changed` if it is no longer the version that was verified. */
  adoption (path: string, digest: Digest, options: Pick<MoveOptions, 'settling' | 'version'> = {}): Change {
    return { path, to: blobPath(digest), options: { ...options, last: true } }
  }

  async adopt (path: string, digest: Digest, size: number, options: Pick<MoveOptions, 'settling' | 'version'> = {}): Promise<void> {
    try {
      await inOrder(this.#driver, [this.adoption(path, digest, options)])
    } catch (error) {
      // Another session with the same content may have been faster, then the file can be gone with its session.
      if (!isPathNotFound(error) || (await this.verify(digest))?.size !== size) throw error
    }
  }

  #inPlace (digest: Digest): Eventually<Descriptor | undefined> {
    const path = blobPath(digest)
    const found = this.#driver.statNow?.(path)
    return found === undefined ? this.#inPlaceLater(digest, path) : described(digest, found)
  }

  async #inPlaceLater (digest: Digest, path: string): Promise<Descriptor | undefined> {
    return described(digest, await orIfMissing(this.#driver.stat(path), null))
  }

  async #orPutBack<T> (digest: Digest, look: () => Eventually<T | undefined>, looked = look()): Promise<T | undefined> {
    let found = await looked
    // Of two collections at once the other one may take away what was just put back, each of them once.
    for (let attempt = 0, isBack = true; found === undefined && isBack && attempt < MAX_RESTORES; attempt++) {
      isBack = await this.#quarantine.restore(digest)
      // Looked at again even when nothing was aside: somebody else may have put it back first.
      found = await look()
    }
    return found
  }
}

function described (digest: Digest, found: FileInfo | null): Descriptor | undefined {
  return found === null || found.isDirectory ? undefined : { mediaType: BLOB_MEDIA_TYPE, digest, size: found.size }
}
