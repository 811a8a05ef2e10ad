import { orIfMissing } from '../errors/driver-error.js'
import { algorithmOf, digestOf, hexOf, isAlgorithm, isDigest } from '../reference/reference.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import type { Change, StorageDriver } from '../storage/driver.js'
import { inOrder } from '../storage/in-order.js'
import type { Settling } from '../storage/settling.js'
import { concurrently } from './concurrently.js'
import { referrerLinkPath, referrerPath, referrersPath } from './layout.js'
import type { LinkedBlobStore } from './linked-blob-store.js'
import { linkChange } from './linked-blob-store.js'
import { parseManifest } from './manifest-content.js'
import { unlessDamaged } from './manifest-contents.js'
import type { ManifestContents, StoredContent } from './manifest-contents.js'
import type { Descriptor, Eventually, ReferrerDescriptor, ReferrerStore, TagStore } from './types.js'

export interface RepositoryReferrersParts {
  readonly name: RepositoryName
  readonly driver: StorageDriver
  readonly contents: ManifestContents
  readonly revisions: LinkedBlobStore
  readonly tags: TagStore
}

/**
 * Which manifests of a repository name which subject: an index of links beside the manifests. An entry only says where
 * to look; a manifest that is not linked, or names another subject, is not listed.
 */
export class RepositoryReferrers implements ReferrerStore {
  readonly #parts: RepositoryReferrersParts

  constructor (parts: RepositoryReferrersParts) {
    this.#parts = parts
  }

  async list (subject: Digest): Promise<ReferrerDescriptor[]> {
    const candidates = new Set([...await this.#indexed(subject), ...await this.#tagged(subject)])
    const found = await concurrently([...candidates].sort(), digest => this.#describe(digest, subject))
    return found.filter(descriptor => descriptor !== undefined)
  }

  async add (subject: Digest, referrer: Digest, settling?: Settling): Promise<void> {
    await inOrder(this.#parts.driver, [this.entry(subject, referrer, settling)])
  }

  /** What makes it one of the subject's referrers. */
  entry (subject: Digest, referrer: Digest, settling?: Settling): Change {
    return linkChange(referrerLinkPath(this.#parts.name, subject, referrer), referrer, { settling })
  }

  async has (subject: Digest, referrer: Digest): Promise<boolean> {
    const { driver, name } = this.#parts
    return await orIfMissing(driver.stat(referrerLinkPath(name, subject, referrer)).then(() => true), false)
  }

  /** Forgets a deleted manifest. */
  async remove (referrer: Digest, content: StoredContent): Promise<void> {
    const { driver, name } = this.#parts
    const subject = understood(content)?.subject
    if (subject !== undefined) await orIfMissing(driver.delete(referrerPath(name, subject, referrer)), undefined)
  }

  async #indexed (subject: Digest): Promise<Digest[]> {
    const { driver, name } = this.#parts
    const path = referrersPath(name, subject)
    const algorithms = (await orIfMissing(driver.list(path), [])).filter(isAlgorithm)
    const lists = await concurrently(algorithms, async algorithm => {
      const names = await orIfMissing(driver.list(`${path}/${algorithm}`), [])
      return names.map(hex => digestOf(algorithm, hex)).filter(isDigest)
    })
    return lists.flat()
  }

  /**
   * where an older registry had no referrers API, clients kept an index under the tag `<algorithm>-<hex>` of the
   * subject. What it lists is listed here too.
   */
  async #tagged (subject: Digest): Promise<Digest[]> {
    const { tags, contents, revisions } = this.#parts
    const tag = `${algorithmOf(subject)}-${hexOf(subject).slice(0, 64)}` as Tag
    const digest = await tags.get(tag)
    const canonical = digest === undefined ? undefined : await revisions.canonical(digest)
    const content = canonical === undefined ? undefined : await contents.intact(canonical)
    const children = content === undefined ? [] : understood(content)?.children ?? []
    const resolved = await concurrently(children, async ({ digest: child }) => await revisions.canonical(child))
    return resolved.filter(child => child !== undefined)
  }

  /** At once where all of it is remembered. */
  #describe (digest: Digest, subject: Digest): Eventually<ReferrerDescriptor | undefined> {
    const found = this.#parts.revisions.stat(digest)
    const content = this.#parts.contents.recent(digest)
    if (found instanceof Promise || content === undefined) return this.#read(found, subject)
    return found === undefined ? undefined : descriptionOf(found, subject, content)
  }

  async #read (finding: Eventually<Descriptor | undefined>, subject: Digest): Promise<ReferrerDescriptor | undefined> {
    const found = await unlessDamaged(finding)
    const content = found === undefined ? undefined : await this.#parts.contents.intact(found.digest)
    return found === undefined || content === undefined ? undefined : descriptionOf(found, subject, content)
  }
}

interface Description { readonly subject: Digest | undefined, readonly descriptor: ReferrerDescriptor }

/** What a longer manifest says of itself would take as much memory again as its bytes. */
const MAX_DESCRIBED_BYTES = 64 * 1024

/** What a manifest says of itself, as long as its bytes are in memory. */
const descriptions = new WeakMap<StoredContent, Description>()

function descriptionOf ({ mediaType, digest, size }: Descriptor, subject: Digest, content: StoredContent): ReferrerDescriptor | undefined {
  let description = descriptions.get(content)
  // The same bytes may have been pushed as something else, here or in another repository.
  if (description?.descriptor.mediaType !== mediaType) {
    const { subject, artifactType, annotations } = understood(content) ?? {}
    const rest = { ...(artifactType === undefined ? {} : { artifactType }), ...(annotations === undefined ? {} : { annotations }) }
    description = { subject, descriptor: { mediaType, digest, size, ...rest } }
    if (content.bytes.length <= MAX_DESCRIBED_BYTES) descriptions.set(content, description)
  }
  return description.subject === subject ? description.descriptor : undefined
}

/** Undefined for what another registry let in and we would not: it refers to nothing. */
export function understood ({ bytes, mediaType }: StoredContent): ReturnType<typeof parseManifest> | undefined {
  try {
    return parseManifest(bytes, mediaType)
  } catch {
    return undefined
  }
}
