import { LRUCache } from 'lru-cache'
import { MAX_AGE_MS } from '../cache/types.js'
import type { Digest } from '../reference/reference.js'
import type { GlobalBlobStore } from './blob-store.js'
import type { Descriptor } from './types.js'
import { readVerified } from './verified-content.js'

/** What is larger costs more to send than to open. */
const MAX_BLOB_BYTES = 64 * 1024
const CACHE_BYTES = 16 * 1024 * 1024
/** What an entry costs besides its bytes; keeps a flood of tiny blobs inside the bound. */
const ENTRY_OVERHEAD = 512

/**
 * The bytes of small blobs by canonical digest: configs, signatures, small layers. Verified when they are read, with the
 * most recently used kept in memory. Content under a digest never changes, and whether a repository may show it is asked
 * before, so nothing here can be stale; after some minutes storage is asked again whether it still has them.
 */
export class SmallBlobs {
  readonly #blobs: GlobalBlobStore
  readonly #recent = new LRUCache<Digest, Buffer>({
    maxSize: CACHE_BYTES,
    sizeCalculation: bytes => bytes.length + ENTRY_OVERHEAD,
    ttl: MAX_AGE_MS
  })

  constructor (blobs: GlobalBlobStore) {
    this.#blobs = blobs
  }

  /** Null when the blob is not small; a promise, of undefined when it is not in storage, when it has to be read. @throws {DamagedContent} */
  get ({ digest, size }: Descriptor): Buffer | Promise<Buffer | undefined> | null {
    if (size > MAX_BLOB_BYTES) return null
    return this.#recent.get(digest) ?? this.#read(digest)
  }

  /** It was put aside. */
  forget (digest: Digest): void {
    this.#recent.delete(digest)
  }

  async #read (digest: Digest): Promise<Buffer | undefined> {
    const bytes = await readVerified(this.#blobs, digest, MAX_BLOB_BYTES)
    if (bytes !== undefined) this.#recent.set(digest, bytes)
    return bytes
  }
}
