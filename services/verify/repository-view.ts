import { LRUCache } from 'lru-cache'
import { Descriptors } from '../cache/descriptors.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import { isCanonical } from '../reference/reference.js'
import { GlobalBlobStore } from '../registry/blob-store.js'
import { LinkedBlobStore } from '../registry/linked-blob-store.js'
import { parseManifest } from '../registry/manifest-content.js'
import type { ManifestContent } from '../registry/manifest-content.js'
import { ManifestContents } from '../registry/manifest-contents.js'
import { DamagedContent } from '../registry/verified-content.js'
import { pushedMediaType } from '../registry/pushed-media-type.js'
import { ReferenceCheck } from '../registry/reference-check.js'
import type { ReferenceValidation } from '../registry/reference-check.js'
import { walkLinks } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import { OciError } from '../errors/oci-error.js'
import { DriverError } from '../errors/driver-error.js'
import type { Contents } from './contents.js'
import type { Pace } from './pace.js'
import type { SetAside } from './quarantine.js'

export interface RepositoryViewParts {
  readonly driver: StorageDriver
  readonly contents: Contents
  readonly setAside: SetAside
  readonly validation: ReferenceValidation
  readonly pace: Pace
  readonly signal: AbortSignal | undefined
}

/** A manifest that can be understood; a text that says why not; undefined for one whose content is not to be had. */
export type Understood = ManifestContent | string | undefined

const MAX_UNDERSTOOD = 500

/** One repository as the check sees it. */
export class RepositoryView {
  readonly name: RepositoryName
  readonly layers: LinkedBlobStore
  readonly revisions: LinkedBlobStore
  readonly references: ReferenceCheck
  readonly #parts: RepositoryViewParts
  readonly #manifests: ManifestContents
  readonly #understood = new LRUCache<Digest, ManifestContent>({ max: MAX_UNDERSTOOD })
  #needed: Promise<ReadonlySet<Digest>> | undefined

  constructor (name: RepositoryName, parts: RepositoryViewParts) {
    const { driver, contents, validation } = parts
    this.name = name
    this.#parts = parts
    this.#manifests = new ManifestContents(new GlobalBlobStore(driver))
    const linked = { driver, name, content: contents, descriptors: new Descriptors(), describe: async (digest: Digest) => await contents.stat(digest) }
    this.layers = new LinkedBlobStore({ ...linked, set: '_layers' })
    this.revisions = new LinkedBlobStore({ ...linked, set: '_manifests/revisions' })
    this.references = new ReferenceCheck({ validation, layers: this.layers, revisions: this.revisions })
  }

  /** Whether a manifest can be had here, or a garbage collection has it in its hands. */
  async hasManifest (digest: Digest): Promise<boolean> {
    return await this.revisions.stat(digest) !== undefined || await this.isWithdrawn(digest)
  }

  async isWithdrawn (digest: Digest): Promise<boolean> {
    return await this.#parts.setAside.manifest(digest) !== undefined
  }

  /** Reads a manifest of this repository. */
  async understand (canonical: Digest): Promise<Understood> {
    const known = this.#understood.get(canonical)
    if (known !== undefined) return known
    const { driver, pace } = this.#parts
    try {
      const content = await this.#manifests.get(canonical)
      await pace.spend(content?.bytes.length)
      if (content === undefined) return undefined
      const manifest = parseManifest(content.bytes, await pushedMediaType(driver, this.name, canonical, content))
      this.#understood.set(canonical, manifest)
      return manifest
    } catch (error) {
      if (error instanceof DamagedContent) return undefined
      if (DriverError.is(error) && error.kind === 'too-large') return 'longer than a manifest may be'
      if (OciError.is(error)) return String(error.detail)
      throw error
    }
  }

  /**
   * Whether a manifest of this repository refers to a digest. All of them are read for that once, and only where
   * something is wrong.
   */
  async needs (digest: Digest): Promise<boolean> {
    this.#needed ??= this.#collectNeeded()
    return (await this.#needed).has(digest)
  }

  async #collectNeeded (): Promise<ReadonlySet<Digest>> {
    const { driver, signal } = this.#parts
    const needed = new Set<Digest>()
    for await (const digest of walkLinks(driver, this.name, '_manifests/revisions', { signal })) {
      // Its directory stays when a link is removed.
      const isLinked = isCanonical(digest) && await this.revisions.canonical(digest) !== undefined
      const manifest = isLinked ? await this.understand(digest) : undefined
      if (typeof manifest !== 'object') continue
      for (const reference of [...manifest.blobs, ...manifest.children]) {
        needed.add(reference.digest)
        const canonical = isCanonical(reference.digest) ? undefined : await this.layers.canonical(reference.digest) ?? await this.revisions.canonical(reference.digest)
        if (canonical !== undefined) needed.add(canonical)
      }
    }
    return needed
  }
}
