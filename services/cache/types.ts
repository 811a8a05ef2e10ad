import type { Digest, RepositoryName } from '../reference/reference.js'
import type { LinkSet } from '../registry/layout.js'
import type { Descriptor, Eventually } from '../registry/types.js'

/** Through whose eyes: what one repository shows by one of its sets of links. */
export interface Scope { readonly name: RepositoryName, readonly set: LinkSet }

/**
 * The right to fill one entry. It ends when the entry is cleared; as long as two readers get the same one, nothing was
 * cleared between them.
 */
export type Lease = string

/**
 * Remembers descriptors: of content, where no scope is given, and of what a repository shows. An entry in a scope holds
 * the canonical digest, so that one for another algorithm is a way to the canonical entry, and no more alive than that.
 * Knowing a digest in one scope says nothing about another one.
 *
 * What is missing is never remembered. The contract is spelled out by `test/suites/descriptor-cache.ts`. Methods may
 * throw whatever goes wrong; the caller goes on without a cache.
 */
export interface DescriptorCache {
  /** True when other processes see the same entries. */
  readonly isShared: boolean
  get (digest: Digest, scope?: Scope): Eventually<Descriptor | undefined>
  /** To be taken before storage is read or written. */
  lease (digest: Digest, scope?: Scope): Eventually<Lease>
  /** Does nothing when the lease has ended. */
  fill (digest: Digest, descriptor: Descriptor, lease: Lease, scope?: Scope): Eventually<void>
  /** Gives a lease back: storage has nothing to remember. */
  release (digest: Digest, scope?: Scope): Eventually<void>
  /** Forgets the entry and ends its leases. Without a scope the content is gone or another, and no blob of any repository. */
  clear (digest: Digest, scope?: Scope): Eventually<void>
}
