import { LRUCache } from 'lru-cache'
import type { Digest, RepositoryName } from '../reference/reference.js'

const MAX_DIGESTS = 20_000
const MAX_REPOSITORIES = 4

/**
 * Where blobs were put lately, by the digest they were pushed with: a hint for mounts that name no source, so
 * that no request ever has to search all repositories. A forgotten blob costs its client an upload.
 */
export class BlobHolders {
  // By size, because a cache with a number of entries takes the memory for all of them at once.
  readonly #recent = new LRUCache<Digest, readonly RepositoryName[]>({ maxSize: MAX_DIGESTS, sizeCalculation: () => 1 })

  note (digest: Digest, name: RepositoryName): void {
    const known = this.#recent.get(digest) ?? []
    if (known[0] === name) return
    this.#recent.set(digest, [name, ...known.filter(other => other !== name)].slice(0, MAX_REPOSITORIES))
  }

  of (digest: Digest): readonly RepositoryName[] {
    return this.#recent.get(digest) ?? []
  }
}
