import { orIfMissing, readSmall } from '../errors/driver-error.js'
import type { WithdrawnManifests } from '../garbage/withdrawn-manifests.js'
import { isCanonical, isDigest } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { linkPath } from './layout.js'
import type { LinkSet } from './layout.js'
import type { BlobStatter, Descriptor } from './types.js'

const MAX_LINK_BYTES = 1024

/** The digest a link file holds. Undefined when the file is missing, or broken as a crash of an old server leaves it. */
export async function readLink (driver: StorageDriver, path: string): Promise<Digest | undefined> {
  const content = await readSmall(driver.read(path, { maxBytes: MAX_LINK_BYTES }))
  const text = content?.toString('latin1').trim()
  return text !== undefined && isDigest(text) ? text : undefined
}

export async function writeLink (driver: StorageDriver, path: string, digest: Digest): Promise<void> {
  await driver.write(path, Buffer.from(digest, 'latin1'))
}

/**
 * What one repository may see of the global store: a digest is here when this repository links to it, in this set of
 * links. Content addressed by another algorithm has two links: its canonical one, and an alias that
 * holds the canonical digest and is only as alive as the canonical link.
 */
export class LinkedBlobStore implements BlobStatter {
  readonly #driver: StorageDriver
  readonly #statter: BlobStatter
  readonly #name: RepositoryName
  readonly #set: LinkSet
  readonly #withdrawn: WithdrawnManifests | undefined

  /** @param withdrawn with it, links that a garbage collection took away are still seen until it is through */
  constructor (driver: StorageDriver, statter: BlobStatter, name: RepositoryName, set: LinkSet, withdrawn?: WithdrawnManifests) {
    this.#driver = driver
    this.#statter = statter
    this.#name = name
    this.#set = set
    this.#withdrawn = withdrawn
  }

  async stat (digest: Digest): Promise<Descriptor | undefined> {
    const canonical = await this.canonical(digest)
    return canonical === undefined ? undefined : await this.#statter.stat(canonical)
  }

  async clear (digest: Digest): Promise<void> {
    await this.#statter.clear(digest)
  }

  /** The canonical digest behind a linked one; undefined when it is not linked here. */
  async canonical (digest: Digest): Promise<Digest | undefined> {
    const target = await this.linked(digest)
    if (isCanonical(digest)) return target ?? await this.#ifWithdrawn(digest)
    if (target === undefined || target === digest) return target
    return await this.linked(target) ?? await this.#ifWithdrawn(target)
  }

  /** What the link of this digest holds, if it is in its place. */
  async linked (digest: Digest): Promise<Digest | undefined> {
    return await readLink(this.#driver, linkPath(this.#name, this.#set, digest))
  }

  /** Makes content visible. The canonical link is written first: an alias never points to nothing. */
  async link (digest: Digest, canonical: Digest): Promise<void> {
    await writeLink(this.#driver, linkPath(this.#name, this.#set, canonical), canonical)
    if (digest !== canonical) await writeLink(this.#driver, linkPath(this.#name, this.#set, digest), canonical)
  }

  /** Takes content out of sight under every digest it has here. Undefined when it was not linked. */
  async unlink (digest: Digest): Promise<Digest | undefined> {
    const canonical = await this.canonical(digest)
    if (canonical === undefined) return undefined
    let removed = await orIfMissing(this.#remove(canonical), undefined)
    if (this.#withdrawn !== undefined) {
      await this.#withdrawn.forget(this.#name, canonical)
      // A collection may have put it back in between.
      removed = await orIfMissing(this.#remove(canonical), removed)
    }
    if (digest !== canonical) await orIfMissing(this.#remove(digest), undefined)
    await this.clear(canonical)
    return removed
  }

  async #ifWithdrawn (digest: Digest): Promise<Digest | undefined> {
    if (this.#withdrawn === undefined) return undefined
    // Looked for in its place again: it may have been put back between the two.
    return await this.#withdrawn.has(this.#name, digest) ? digest : await this.linked(digest)
  }

  async #remove (digest: Digest): Promise<Digest> {
    await this.#driver.delete(linkPath(this.#name, this.#set, digest))
    return digest
  }
}
