import { LRUCache } from 'lru-cache'
import type { Digest } from '../reference/reference.js'
import type { Descriptor } from '../registry/types.js'
import type { DescriptorCache, Lease, Scope } from './types.js'

/** Digests that share a counter of clears. A clear ends the leases of its group, of which one more is one too many. */
const GROUPS = 4096

interface Entries {
  get (key: string): Descriptor | undefined
  set (key: string, descriptor: Descriptor): unknown
  delete (key: string): boolean
  entries (): Iterable<[string, Descriptor]>
}

/** Descriptors in the memory of this process, the most recently used ones. It answers at once, without a promise. */
export class MemoryCache implements DescriptorCache {
  readonly isShared = false
  readonly #entries: Entries
  readonly #clears = new Float64Array(GROUPS)

  /** @param size entries to keep; 0 and less mean all */
  constructor (size: number) {
    this.#entries = size > 0 ? new LRUCache<string, Descriptor>({ max: size }) : new Map<string, Descriptor>()
  }

  get (digest: Digest, scope?: Scope): Descriptor | undefined {
    return this.#entries.get(keyOf(digest, scope))
  }

  lease (digest: Digest): Lease {
    return String(this.#clears[groupOf(digest)])
  }

  fill (digest: Digest, descriptor: Descriptor, lease: Lease, scope?: Scope): void {
    if (lease === this.lease(digest)) this.#entries.set(keyOf(digest, scope), descriptor)
  }

  release (): void {}

  clear (digest: Digest, scope?: Scope): void {
    this.#clears[groupOf(digest)]! += 1
    if (scope !== undefined) {
      this.#entries.delete(keyOf(digest, scope))
      return
    }
    for (const [key, descriptor] of [...this.#entries.entries()]) {
      if (descriptor.digest === digest) this.#entries.delete(key)
    }
  }
}

/** Neither a name nor a digest has a space in it. */
export function keyOf (digest: Digest, scope: Scope | undefined): string {
  return scope === undefined ? digest : `${scope.set} ${scope.name} ${digest}`
}

function groupOf (digest: Digest): number {
  return Number.parseInt(digest.slice(-3), 16)
}
