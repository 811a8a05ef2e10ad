import { createHash } from 'node:crypto'
import { OciError } from '../errors/oci-error.js'
import { algorithmOf, digestOf, isCanonical } from '../reference/reference.js'
import type { Digest, Reference, RepositoryName, Tag } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { Settling } from '../storage/settling.js'
import { concurrently } from './concurrently.js'
import type { LinkedBlobStore } from './linked-blob-store.js'
import { parseManifest } from './manifest-content.js'
import type { ManifestContent } from './manifest-content.js'
import type { ManifestContents } from './manifest-contents.js'
import type { Publication } from './publication.js'
import { forgetMediaType, keepMediaType } from './pushed-media-type.js'
import { ReferenceCheck } from './reference-check.js'
import type { ReferenceValidation } from './reference-check.js'
import type { RepositoryReferrers } from './repository-referrers.js'
import type { BlobStatter, ManifestPut, ManifestPutResult, ManifestStore, StoredManifest, TagStore } from './types.js'

export interface RepositoryManifestsParts {
  readonly name: RepositoryName
  readonly driver: StorageDriver
  readonly contents: ManifestContents
  readonly revisions: LinkedBlobStore
  readonly layers: Pick<BlobStatter, 'verify'>
  readonly validation: ReferenceValidation
  readonly tags: TagStore
  readonly referrers: RepositoryReferrers
  readonly publication: Publication
}

/** The manifests of one repository. Their bytes are stored and served exactly as they came. */
export class RepositoryManifests implements ManifestStore {
  readonly #parts: RepositoryManifestsParts
  readonly #references: ReferenceCheck

  constructor (parts: RepositoryManifestsParts) {
    this.#parts = parts
    this.#references = new ReferenceCheck(parts)
  }

  async get (reference: Reference): Promise<StoredManifest> {
    const digest = await this.#digestOf(reference)
    const { revisions, contents } = this.#parts
    const found = await revisions.stat(digest)
    if (found === undefined) throw this.#unknown(reference)
    const { mediaType, digest: canonical } = found
    const content = await contents.get(canonical)
    if (content === undefined) {
      // Somebody else took the content out of storage: what is remembered of it is wrong.
      await revisions.forget(digest, canonical)
      throw this.#unknown(reference)
    }
    return { descriptor: { mediaType, digest, size: content.bytes.length }, bytes: content.bytes }
  }

  async put (bytes: Buffer, { mediaType, reference, tags = [], review }: ManifestPut): Promise<ManifestPutResult> {
    const content = parseManifest(bytes, mediaType)
    const canonical = digestOf('sha256', createHash('sha256').update(bytes).digest('hex'))
    const digest = 'digest' in reference ? verified(bytes, reference.digest, canonical) : canonical
    const warnings = await this.#references.check(content)
    const descriptor = { mediaType: content.mediaType, digest, size: bytes.length }
    if (review !== undefined) await review({ descriptor, canonical, content, bytes })
    await this.#store(bytes, content, digest, canonical)
    // tags come last, so that nobody ever follows one to a manifest that is not there yet.
    for (const tag of 'tag' in reference ? [reference.tag] : tags) await this.#parts.tags.set(tag, digest)
    // Withdrawn between the link and the tag, by a collection that saw it without one.
    if (!await this.#parts.publication.isLinked(canonical)) await this.#store(bytes, content, digest, canonical)
    return { descriptor, warnings, ...(content.subject === undefined ? {} : { subject: content.subject }) }
  }

  async delete (reference: Reference): Promise<readonly Tag[]> {
    const { revisions, tags, contents, referrers } = this.#parts
    if ('tag' in reference) {
      if (!await tags.delete(reference.tag)) throw this.#unknown(reference)
      return [reference.tag]
    }
    const canonical = await revisions.canonical(reference.digest)
    if (canonical === undefined) throw this.#unknown(reference)
    const content = await contents.intact(canonical)
    // One manifest, whatever digest it was pushed or is deleted by: both addresses and their tags go.
    const sha512 = content === undefined ? undefined : digestOf('sha512', createHash('sha512').update(content.bytes).digest('hex'))
    const tagged = await tags.pointingAt(new Set([canonical, reference.digest, ...(sha512 === undefined ? [] : [sha512])]))
    await concurrently(tagged, async tag => await tags.delete(tag))
    if (await revisions.unlink(sha512 ?? reference.digest) === undefined) await revisions.unlink(canonical)
    await forgetMediaType(this.#parts.driver, this.#parts.name, canonical)
    if (content !== undefined) await referrers.remove(canonical, content)
    return tagged
  }

  async #digestOf (reference: Reference): Promise<Digest> {
    if ('digest' in reference) return reference.digest
    const digest = await this.#parts.tags.get(reference.tag)
    if (digest === undefined) throw this.#unknown(reference)
    return digest
  }

  async #store (bytes: Buffer, content: ManifestContent, digest: Digest, canonical: Digest): Promise<void> {
    const { name, driver, contents, revisions, referrers, publication } = this.#parts
    const { subject, mediaType } = content
    // What names its media type never had another one, and none is kept for it.
    let isCertain = content.declaresMediaType
    const keepType = async (): Promise<void> => {
      if (!content.declaresMediaType) isCertain = await keepMediaType(driver, name, canonical, { bytes, mediaType })
    }
    await revisions.remember(digest, canonical, async () => {
      const settling = new Settling()
      const before = await contents.additions(canonical, bytes, settling)
      await keepType()
      // Listed before it is linked: the list passes over what is not linked, and a linked one is never missing from it.
      if (subject !== undefined) before.push(referrers.entry(subject, canonical, settling))
      await revisions.link(digest, canonical, { before, settling })
      await publication.confirm(content, canonical, bytes)
      // A collection removes these with the manifest they belong to, and leaves them alone once there is a link.
      await keepType()
      if (subject !== undefined && !await referrers.has(subject, canonical)) await referrers.add(subject, canonical, settling)
      // Before a tag can point at it.
      await settling.end()
      return { mediaType, digest: canonical, size: bytes.length }
    })
    // pushed again as something else, it is that everywhere.
    if (!isCertain) await revisions.clear(canonical)
  }

  #unknown (reference: Reference): OciError {
    const detail = 'tag' in reference ? `unknown tag=${reference.tag}` : `unknown manifest name=${this.#parts.name} revision=${reference.digest}`
    return new OciError('MANIFEST_UNKNOWN', { detail })
  }
}

/** @throws {OciError} DIGEST_INVALID when the bytes do not hash to the digest they were pushed by */
function verified (bytes: Buffer, digest: Digest, canonical: Digest): Digest {
  const actual = isCanonical(digest) ? canonical : digestOf(algorithmOf(digest), createHash(algorithmOf(digest)).update(bytes).digest('hex'))
  if (actual !== digest) throw new OciError('DIGEST_INVALID', { detail: `content does not match digest ${digest}` })
  return digest
}
