import type { WithdrawnManifests } from '../garbage/withdrawn-manifests.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import type { LinkedBlobStore } from './linked-blob-store.js'
import { parseManifest } from './manifest-content.js'
import type { ManifestContent } from './manifest-content.js'
import type { ManifestContents } from './manifest-contents.js'
import { ReferenceCheck } from './reference-check.js'
import type { ReferenceValidation } from './reference-check.js'
import type { BlobStatter, Descriptor } from './types.js'

export interface PublicationParts {
  readonly name: RepositoryName
  readonly contents: ManifestContents
  readonly validation: ReferenceValidation
  readonly withdrawn: WithdrawnManifests
  /** Links and content as storage has them: nothing that is remembered may answer here. */
  readonly layers: BlobStatter
  readonly revisions: LinkedBlobStore
}

/**
 * The last look at what a manifest needs, after it was linked and before it is acknowledged. A garbage collection looks
 * at links after it has put content aside; this looks at content after the link was written. So of the two at least one
 * sees the other, and what was put aside is put back (docs/garbage-collection.md).
 */
export class Publication {
  readonly #parts: PublicationParts
  readonly #references: ReferenceCheck

  constructor (parts: PublicationParts) {
    const { validation, layers, revisions } = parts
    this.#parts = parts
    this.#references = new ReferenceCheck({
      validation,
      layers,
      revisions: { stat: async digest => await this.#revision(digest), clear: async digest => { await revisions.clear(digest) } }
    })
  }

  /** @throws {OciErrors} one MANIFEST_BLOB_UNKNOWN for every reference that is gone for good */
  async confirm (content: ManifestContent, canonical: Digest, bytes: Buffer): Promise<void> {
    await this.#parts.contents.keep(canonical, bytes)
    await this.#references.check(content, { all: true })
  }

  /** Whether the manifest is linked, and not withdrawn meanwhile. */
  async isLinked (canonical: Digest): Promise<boolean> {
    return await this.#parts.revisions.linked(canonical) !== undefined
  }

  /** A manifest that an index lists. One that was withdrawn is put back, with all that it needs in turn. */
  async #revision (digest: Digest): Promise<Descriptor | undefined> {
    const { name, contents, revisions, withdrawn } = this.#parts
    const canonical = await revisions.canonical(digest)
    if (canonical === undefined) return undefined
    if (await revisions.linked(canonical) === undefined) {
      const content = await contents.intact(canonical)
      if (content === undefined) return undefined
      await withdrawn.restore(name, canonical)
      const manifest = understood(content.bytes, content.mediaType)
      if (manifest !== undefined) await this.confirm(manifest, canonical, content.bytes)
      if (await revisions.linked(canonical) === undefined) return undefined
    }
    return await revisions.stat(digest)
  }
}

/** Undefined for what another registry let in and we would not: it is kept as it is. */
function understood (bytes: Buffer, mediaType: string): ManifestContent | undefined {
  try {
    return parseManifest(bytes, mediaType)
  } catch {
    return undefined
  }
}
