import { LRUCache } from 'lru-cache'
import type { Digest } from '../reference/reference.js'
import type { Change } from '../storage/driver.js'
import type { Settling } from '../storage/settling.js'
import type { GlobalBlobStore } from './blob-store.js'
import { inferMediaType } from './manifest-content.js'
import type { Eventually } from './types.js'
import { DamagedContent, readVerified } from './verified-content.js'

/** The default limit of a manifest, and the size up to which clients expect a registry to accept one. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
const CACHE_BYTES = 32 * 1024 * 1024
// What an entry costs besides its bytes; keeps a flood of tiny manifests inside the bound.
const ENTRY_OVERHEAD = 1024

export interface StoredContent {
  readonly bytes: Buffer
  /** As the bytes tell it. */
  readonly mediaType: string
  /** False when the bytes do not name their media type. */
  readonly certain: boolean
}

/**
 * The bytes of manifests by canonical digest, verified when read, with the most recently used kept in memory. Content
 * under a digest never changes; whether a repository may see it is asked before, so nothing here can be stale.
 */
export class ManifestContents {
  readonly #blobs: GlobalBlobStore
  readonly #recent = new LRUCache<Digest, StoredContent>({
    maxSize: CACHE_BYTES,
    sizeCalculation: content => content.bytes.length + ENTRY_OVERHEAD
  })

  constructor (blobs: GlobalBlobStore) {
    this.#blobs = blobs
  }

  /** Undefined when the content is not in storage. @throws {DamagedContent} */
  async get (digest: Digest): Promise<StoredContent | undefined> {
    const recent = this.#recent.get(digest)
    if (recent !== undefined) return recent
    const bytes = await readVerified(this.#blobs, digest, MAX_MANIFEST_BYTES)
    if (bytes === undefined) return undefined
    const content = { bytes, ...inferMediaType(bytes) }
    this.#recent.set(digest, content)
    return content
  }

  /** What is in memory already. */
  recent (digest: Digest): StoredContent | undefined {
    return this.#recent.get(digest)
  }

  /** Like `get`, but damaged content counts as missing: it can then be deleted, or pushed again. */
  async intact (digest: Digest): Promise<StoredContent | undefined> {
    return await unlessDamaged(this.get(digest))
  }

  /** Sees to it that storage has the bytes now, whatever this process remembers. */
  async keep (digest: Digest, bytes: Buffer): Promise<void> {
    const found = await this.#blobs.verify(digest)
    if (found?.size !== bytes.length) await this.#blobs.put(digest, bytes)
  }

  /** What stores the bytes: nothing, where they are here. */
  async additions (digest: Digest, bytes: Buffer, settling: Settling): Promise<Change[]> {
    return await this.holds(digest, bytes) ? [] : [this.#blobs.addition(digest, bytes, settling)]
  }

  /** Whether storage has the bytes, intact. What is not in its place is not looked for anywhere else: the caller has them. */
  async holds (digest: Digest, bytes: Buffer): Promise<boolean> {
    return await this.#blobs.holds(digest, bytes.length) && await this.intact(digest) !== undefined
  }
}

/** Damaged content counts as missing. */
export async function unlessDamaged<T> (operation: Eventually<T | undefined>): Promise<T | undefined> {
  try {
    return await operation
  } catch (error) {
    if (error instanceof DamagedContent) return undefined
    throw error
  }
}
