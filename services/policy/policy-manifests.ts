import { createHash } from 'node:crypto'
import { OciError } from '../errors/oci-error.js'
import { digestOf } from '../reference/reference.js'
import type { Digest, Reference, Tag } from '../reference/reference.js'
import { ForwardingManifestStore } from '../registry/forwarding.js'
import type { ManifestPut, ManifestPutResult, Repository, StoredManifest, VerifiedManifest } from '../registry/types.js'
import type { About } from './engine.js'
import type { Inquiry } from './inquiry.js'
import { configOf, manifestDelete, manifestPull, noConfig, once } from './stored-content.js'

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
    const about = manifestPull(this.#repository, reference, stored)
    return await inquiry.during(async () => {
      await inquiry.ask('beforePull', about)
      inquiry.tellPulled(about)
      return stored
    })
  }

  override async put (bytes: Buffer, options: ManifestPut): Promise<ManifestPutResult> {
    const inquiry = this.#inquire()
    const tags = 'tag' in options.reference ? [options.reference.tag] : options.tags ?? []
    let reviewed = undefined as VerifiedManifest | undefined
    const { content, ...result } = await inquiry.during(async () => {
      const result = await super.put(bytes, {
        ...options,
        review: async verified => {
          reviewed = verified
          await options.review?.(verified)
          await this.#review(inquiry, verified, options.reference, tags)
        }
      })
      // A middleware that does not hand on the review would be a way around every policy: it is to be found at once.
      if (reviewed === undefined) throw new Error('a middleware stored a manifest without calling its review')
      return { ...result, content: reviewed.content }
    })
    const config = once(async () => await configOf(this.#repository, content))
    inquiry.tell('afterPush', { kind: 'manifest', reference: options.reference, descriptor: result.descriptor, tags, manifest: content, config })
    return result
  }

  override async delete (reference: Reference): Promise<readonly Tag[]> {
    const inquiry = this.#inquire()
    const about = manifestDelete(this.#repository, reference)
    const deleted = await inquiry.during(async () => {
      await inquiry.ask('beforeDelete', about)
      if (this.#judgesTags) for (const tag of await deletedTags(this.#repository, reference)) await askToDelete(inquiry, this.#repository, tag)
      return await super.delete(reference)
    })
    inquiry.tell('afterDelete', { kind: about.kind, reference, tags: deleted })
    return deleted
  }

  async #review (inquiry: Inquiry, verified: VerifiedManifest, reference: Reference, tags: readonly Tag[]): Promise<void> {
    const about = manifestQuestion(this.#repository, verified, { reference, tags })
    const { descriptor, manifest, config } = about
    await inquiry.ask('beforeManifest', about)
    for (const tag of tags) await askToSet(inquiry, this.#repository, tag, { digest: descriptor.digest, descriptor, manifest, config })
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
    config: once(async () => await configOf(repository, content)),
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

/** What a tag is to point at, and what is known of it. */
type TagTarget = Pick<About<'beforeTag'>, 'descriptor' | 'manifest' | 'config'> & { readonly digest: Digest }

export async function askToSet (inquiry: Inquiry, { tags }: Repository, tag: Tag, target: TagTarget): Promise<void> {
  await inquiry.ask('beforeTag', { ...target, tag, change: 'set', current: async () => await tags.get(tag) })
}

export async function askToDelete (inquiry: Inquiry, { tags }: Repository, tag: Tag): Promise<void> {
  await inquiry.ask('beforeTag', { tag, change: 'delete', config: noConfig, current: async () => await tags.get(tag) })
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
