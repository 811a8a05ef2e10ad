import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { OciError } from '../errors/oci-error.js'
import { digestOf } from '../reference/reference.js'
import type { Digest, Reference, Tag } from '../reference/reference.js'
import { ForwardingManifestStore } from '../registry/forwarding.js'
import { MAX_MANIFEST_BYTES } from '../registry/manifest-contents.js'
import type { ManifestPut, ManifestPutResult, Repository, StoredManifest, VerifiedManifest } from '../registry/types.js'
import type { About } from './engine.js'
import type { Inquiry } from './inquiry.js'

/** Asks the policy before anything is done with manifests, and with tags where manifests take them along. */
export class PolicyManifests extends ForwardingManifestStore {
  readonly #repository: Repository
  readonly #inquire: () => Inquiry
  readonly #judgesTags: boolean

  constructor (repository: Repository, inquire: () => Inquiry, { judgesTags }: { readonly judgesTags: boolean }) {
    super(repository.manifests)
    this.#repository = repository
    this.#inquire = inquire
    this.#judgesTags = judgesTags
  }

  override async get (reference: Reference): Promise<StoredManifest> {
    const stored = await super.get(reference)
    const inquiry = this.#inquire()
    return await inquiry.during(async () => {
      await inquiry.ask('beforePull', { kind: 'manifest', reference, descriptor: stored.descriptor, bytes: stored.bytes })
      return stored
    })
  }

  override async put (bytes: Buffer, options: ManifestPut): Promise<ManifestPutResult> {
    const inquiry = this.#inquire()
    const tags = 'tag' in options.reference ? [options.reference.tag] : options.tags ?? []
    let isReviewed = false
    const result = await inquiry.during(async () => {
      const result = await super.put(bytes, {
        ...options,
        review: async verified => {
          isReviewed = true
          await options.review?.(verified)
          await this.#review(inquiry, verified, options.reference, tags)
        }
      })
      // A middleware that does not hand on the review would be a way around every policy: it is to be found at once.
      if (!isReviewed) throw new Error('a middleware stored a manifest without calling its review')
      return result
    })
    inquiry.tell('afterPush', { kind: 'manifest', descriptor: result.descriptor, tags })
    return result
  }

  override async delete (reference: Reference): Promise<readonly Tag[]> {
    const inquiry = this.#inquire()
    const about = { kind: 'tag' in reference ? 'tag' : 'manifest', reference } as const
    const deleted = await inquiry.during(async () => {
      await inquiry.ask('beforeDelete', about)
      if (this.#judgesTags) for (const tag of await deletedTags(this.#repository, reference)) await askToDelete(inquiry, this.#repository, tag)
      return await super.delete(reference)
    })
    inquiry.tell('afterDelete', about)
    return deleted
  }

  async #review (inquiry: Inquiry, verified: VerifiedManifest, reference: Reference, tags: readonly Tag[]): Promise<void> {
    await inquiry.ask('beforeManifest', manifestQuestion(this.#repository, verified, { reference, tags }))
    for (const tag of tags) await askToSet(inquiry, this.#repository, tag, verified.descriptor.digest)
  }
}

/** What is asked about a manifest of a repository. */
export function manifestQuestion (repository: Repository, { descriptor, canonical, content }: VerifiedManifest, { reference, tags }: { readonly reference: Reference, readonly tags: readonly Tag[] }): About<'beforeManifest'> {
  return {
    reference,
    tags,
    descriptor,
    canonical,
    manifest: content,
    config: once(async () => content.config === undefined ? undefined : await readJson(repository, content.config.digest)),
    sizeOf: async digest => await sizeOf(repository, digest)
  }
}

/** A manifest that is deleted takes along its tags, whichever of its digests they were pushed with. @throws {OciError} MANIFEST_UNKNOWN */
export async function deletedTags ({ manifests, tags }: Repository, reference: Reference): Promise<readonly Tag[]> {
  if ('tag' in reference) return [reference.tag]
  const { bytes } = await manifests.get(reference)
  const digests = (['sha256', 'sha512'] as const).map(algorithm => digestOf(algorithm, createHash(algorithm).update(bytes).digest('hex')))
  return await tags.pointingAt(new Set(digests))
}

export async function askToSet (inquiry: Inquiry, { tags }: Repository, tag: Tag, digest: Digest): Promise<void> {
  await inquiry.ask('beforeTag', { tag, change: 'set', digest, current: async () => await tags.get(tag) })
}

export async function askToDelete (inquiry: Inquiry, { tags }: Repository, tag: Tag): Promise<void> {
  await inquiry.ask('beforeTag', { tag, change: 'delete', current: async () => await tags.get(tag) })
}

async function readJson ({ blobs }: Repository, digest: Digest): Promise<unknown> {
  const descriptor = await blobs.stat(digest)
  if (descriptor.size > MAX_MANIFEST_BYTES) return undefined
  const bytes = await buffer(await blobs.open(descriptor))
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

async function sizeOf ({ blobs, manifests }: Repository, digest: Digest): Promise<number | undefined> {
  try {
    return (await blobs.stat(digest)).size
  } catch (error) {
    if (!OciError.is(error) || error.status !== 404) throw error
  }
  try {
    return (await manifests.get({ digest })).descriptor.size
  } catch (error) {
    if (!OciError.is(error) || error.status !== 404) throw error
    return undefined
  }
}

function once<T> (read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined
  return () => { reading ??= read(); return reading }
}
