import type { Descriptors, ScopedDescriptors } from '../cache/descriptors.js'
import { orIfMissing, readSmall } from '../errors/driver-error.js'
import type { WithdrawnManifests } from '../garbage/withdrawn-manifests.js'
import { isCanonical, isDigest } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import type { Change, StorageDriver, WriteOptions } from '../storage/driver.js'
import { inOrder } from '../storage/in-order.js'
import { linkPath } from './layout.js'
import type { LinkSet } from './layout.js'
import type { BlobStatter, Descriptor, Eventually } from './types.js'

const MAX_LINK_BYTES = 1024

/** The digest a link file holds. Undefined when the file is missing, or broken as a crash of an old server leaves it. */
export async function readLink (driver: StorageDriver, path: string): Promise<Digest | undefined> {
  const content = await readSmall(driver.read(path, { maxBytes: MAX_LINK_BYTES }))
  return content === undefined ? undefined : digestIn(content)
}

/** The same, at once if it can be. For the few links that a request waits for: who reads many would stop everybody else. */
export function readLinkNow (driver: StorageDriver, path: string): Eventually<Digest | undefined> {
  const content = driver.readNow?.(path, MAX_LINK_BYTES)
  return content === undefined ? readLink(driver, path) : digestIn(content)
}

function digestIn (content: Buffer): Digest | undefined {
  const text = content.toString('latin1').trim()
  return isDigest(text) ? text : undefined
}

/** Makes a link that holds a digest. */
export function linkChange (path: string, digest: Digest, options?: WriteOptions): Change {
  // A part of a link is no link.
  return { path, content: Buffer.from(digest, 'latin1'), options: { ...options, inPlace: true } }
}

export async function writeLink (driver: StorageDriver, path: string, digest: Digest, options?: WriteOptions): Promise<void> {
  await inOrder(driver, [linkChange(path, digest, options)])
}

export interface LinkedBlobStoreParts {
  readonly driver: StorageDriver
  readonly name: RepositoryName
  readonly set: LinkSet
  /** What the links point at. */
  readonly content: Pick<BlobStatter, 'verify'>
  readonly descriptors: Descriptors
  /** The descriptor of content that is linked; undefined when the content is missing. */
  readonly describe: (canonical: Digest) => Eventually<Descriptor | undefined>
  /** With it, links that a garbage collection took away are still seen until it is through. */
  readonly withdrawn?: WithdrawnManifests
}

export interface LinkOptions extends WriteOptions {
  /** Changes to be made first. */
  readonly before?: readonly Change[]
  /** Changes to be made when there is a link. */
  readonly after?: readonly Change[]
}

/**
 * What one repository may see of the global store: a digest is here when this repository links to it, in this set of
 * links. Content addressed by another algorithm has two links: its canonical one, and an alias that
 * holds the canonical digest and is only as alive as the canonical link. Each set of links is remembered for itself: a
 * blob does not become a manifest, nor a manifest a blob.
 */
export class LinkedBlobStore implements BlobStatter {
  readonly #parts: LinkedBlobStoreParts
  readonly #entries: ScopedDescriptors

  constructor (parts: LinkedBlobStoreParts) {
    this.#parts = parts
    this.#entries = parts.descriptors.of({ name: parts.name, set: parts.set })
  }

  stat (digest: Digest): Eventually<Descriptor | undefined> {
    return this.#entries.stat(digest, this.#load)
  }

  verify (digest: Digest): Eventually<Descriptor | undefined> {
    const canonical = this.canonical(digest)
    const found = canonical === undefined || canonical instanceof Promise ? undefined : this.#parts.content.verify(canonical)
    return found === undefined || found instanceof Promise ? this.#verified(digest, canonical, found) : found
  }

  /** Runs `write`, which makes the content visible here, and remembers it. */
  async remember (digest: Digest, canonical: Digest, write: () => Promise<Descriptor>): Promise<Descriptor> {
    return await this.#entries.remember(digest === canonical ? [canonical] : [canonical, digest], write)
  }

  /** What was remembered turned out to be gone. */
  async forget (...digests: ReadonlyArray<Digest | undefined>): Promise<void> {
    await this.#entries.forget(digests.filter(digest => digest !== undefined))
  }

  /** What was remembered was changed: resolves when no process shows it any more. */
  async clear (...digests: readonly Digest[]): Promise<void> {
    await this.#entries.clear([...new Set(digests)])
  }

  /** The canonical digest behind a linked one; undefined when it is not linked here. */
  canonical (digest: Digest): Eventually<Digest | undefined> {
    const target = this.linked(digest)
    return target === undefined || target instanceof Promise || !isCanonical(digest) ? this.#canonical(digest, target) : target
  }

  /** What the link of this digest holds, if it is in its place. */
  linked (digest: Digest): Eventually<Digest | undefined> {
    return readLinkNow(this.#parts.driver, this.#path(digest))
  }

  /** Makes content visible, after the changes that have to come `before`. */
  async link (digest: Digest, canonical: Digest, { before = [], after = [], ...options }: LinkOptions = {}): Promise<void> {
    await inOrder(this.#parts.driver, [...before, ...this.#links(digest, canonical, options), ...after])
  }

  /** Takes content out of sight under every digest it has here, in all processes. Undefined when it was not linked. */
  async unlink (digest: Digest): Promise<Digest | undefined> {
    const canonical = await this.canonical(digest)
    try {
      if (canonical === undefined) return undefined
      const { withdrawn, name } = this.#parts
      let removed = await orIfMissing(this.#remove(canonical), undefined)
      if (withdrawn !== undefined) {
        await withdrawn.forget(name, canonical)
        // A collection may have put it back in between.
        removed = await orIfMissing(this.#remove(canonical), removed)
      }
      if (digest !== canonical) await orIfMissing(this.#remove(digest), undefined)
      return removed
    } finally {
      // Whatever storage did before it failed, and whoever else was faster.
      await this.clear(canonical ?? digest, digest)
    }
  }

  /** The canonical link is written first: an alias never points to nothing. */
  #links (digest: Digest, canonical: Digest, options: WriteOptions): Change[] {
    const link = linkChange(this.#path(canonical), canonical, options)
    return digest === canonical ? [link] : [link, linkChange(this.#path(digest), canonical, { settling: options.settling })]
  }

  /** Where not all of it is known at once. */
  async #verified (digest: Digest, asked: Eventually<Digest | undefined>, finding: Promise<Descriptor | undefined> | undefined): Promise<Descriptor | undefined> {
    const canonical = await asked
    const found = await (finding ?? (canonical === undefined ? undefined : this.#parts.content.verify(canonical)))
    if (found === undefined) await this.forget(digest, canonical)
    return found
  }

  async #canonical (digest: Digest, asked: Eventually<Digest | undefined>): Promise<Digest | undefined> {
    const target = await asked
    if (isCanonical(digest)) return target ?? await this.#ifWithdrawn(digest)
    if (target === undefined || target === digest) return target
    return await this.linked(target) ?? await this.#ifWithdrawn(target)
  }

  async #remove (digest: Digest): Promise<Digest> {
    await this.#parts.driver.delete(this.#path(digest))
    return digest
  }

  readonly #load = async (digest: Digest): Promise<Descriptor | undefined> => {
    const target = await readLinkNow(this.#parts.driver, this.#path(digest)) ?? (isCanonical(digest) ? await this.#ifWithdrawn(digest) : undefined)
    if (target === undefined) return undefined
    return target === digest || isCanonical(digest) ? await this.#parts.describe(target) : await this.stat(target)
  }

  async #ifWithdrawn (digest: Digest): Promise<Digest | undefined> {
    const { withdrawn, name } = this.#parts
    if (withdrawn === undefined) return undefined
    // Looked for in its place again: it may have been put back between the two.
    return await withdrawn.has(name, digest) ? digest : await this.linked(digest)
  }

  #path (digest: Digest): string {
    return linkPath(this.#parts.name, this.#parts.set, digest)
  }
}
