import { orIfMissing, readSmall } from '../errors/driver-error.js'
import type { ManifestReader } from '../garbage/manifest-reader.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import { concurrently } from '../registry/concurrently.js'
import { linkPath, mediaTypePath, referrerLinkPath, tagCurrentPath, tagIndexPath } from '../registry/layout.js'
import type { LinkSet } from '../registry/layout.js'
import { readLink, writeLink } from '../registry/linked-blob-store.js'
import { walkLinks, walkReferrers, walkTagHistory, walkTags } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import type { ContentCopy } from './content-copy.js'
import { eachOf } from './each-of.js'

/** Links under way at a time, with the content behind them. */
const WIDTH = 8
const MAX_MEDIA_TYPE_BYTES = 1024

export interface RepositoryCopyParts {
  readonly from: StorageDriver
  readonly to: StorageDriver
  readonly name: RepositoryName
  readonly content: ContentCopy
  /** Reads manifests of the target. */
  readonly manifests: ManifestReader
  readonly observer: RepositoryObserver
  readonly signal: AbortSignal
}

export interface RepositoryObserver {
  link (isCopied: boolean): void
  /** A link was not copied, because there is nothing behind it. */
  dangling (): void
  tag (isCopied: boolean): void
  /** `reference` is a tag or a digest. */
  failed (name: RepositoryName, reference: Tag | Digest, problem: string): void
}

/**
 * Copies what one repository is made of: links once their content is there, then who refers to what, and tags last. Tags
 * are read first: what they point at then has been complete since before the links are walked, so that whatever is pushed
 * meanwhile, a tag in the target is complete.
 */
export class RepositoryCopy {
  readonly #parts: RepositoryCopyParts
  /** What is linked and could not be brought to the target: it must not be seen through a tag. */
  readonly #lacking = new Set<Digest>()

  constructor (parts: RepositoryCopyParts) {
    this.#parts = parts
  }

  async run (): Promise<void> {
    const tags = await this.#tags()
    await this.#links('_layers')
    await this.#links('_manifests/revisions')
    await this.#referrers()
    await eachOf(tags, WIDTH, async ([tag, digest]) => {
      await this.#orFailed(tag, async () => { await this.#tag(tag, digest) })
    })
  }

  async #tags (): Promise<ReadonlyArray<readonly [Tag, Digest]>> {
    const { from, name, signal } = this.#parts
    const names: Tag[] = []
    for await (const tag of walkTags(from, name, { signal })) names.push(tag)
    const digests = await concurrently(names, async tag => await readLink(from, tagCurrentPath(name, tag)))
    return names.flatMap((tag, i) => digests[i] === undefined ? [] : [[tag, digests[i]] as const])
  }

  async #links (set: LinkSet): Promise<void> {
    const { from, name, observer, signal } = this.#parts
    await eachOf(walkLinks(from, name, set, { signal }), WIDTH, async digest => {
      const isHere = await this.#orFailed(digest, async () => await this.#link(set, digest))
      if (isHere !== true) this.#lacking.add(digest)
      if (isHere === false) observer.dangling()
    })
  }

  /** False when there is nothing behind the link, as a garbage collection of docker's registry leaves it. */
  async #link (set: LinkSet, digest: Digest): Promise<boolean> {
    const { from, to, name, content, observer } = this.#parts
    const path = linkPath(name, set, digest)
    const canonical = await readLink(from, path)
    if (canonical === undefined || !await content.ensure(canonical)) return false
    if (set === '_manifests/revisions') await this.#mediaType(digest)
    const isThere = await readLink(to, path) === canonical
    if (!isThere) await writeLink(to, path, canonical)
    observer.link(!isThere)
    return true
  }

  async #mediaType (digest: Digest): Promise<void> {
    const { from, to, name } = this.#parts
    const path = mediaTypePath(name, digest)
    const mediaType = await readSmall(from.read(path, { maxBytes: MAX_MEDIA_TYPE_BYTES }))
    if (mediaType === undefined || (await readSmall(to.read(path, { maxBytes: MAX_MEDIA_TYPE_BYTES })))?.equals(mediaType) === true) return
    await to.write(path, mediaType)
  }

  async #referrers (): Promise<void> {
    const { from, to, name, signal } = this.#parts
    await eachOf(walkReferrers(from, name, { signal }), WIDTH, async ({ subject, referrer }) => {
      if (this.#lacking.has(referrer)) return
      await this.#orFailed(referrer, async () => {
        const path = referrerLinkPath(name, subject, referrer)
        const digest = await readLink(from, path)
        if (digest !== undefined && await readLink(to, path) !== digest) await writeLink(to, path, digest)
      })
    })
  }

  async #tag (tag: Tag, digest: Digest): Promise<void> {
    const { from, to, name, signal, observer } = this.#parts
    const lacking = await this.#lackingOf(digest)
    if (lacking !== undefined) return observer.failed(name, tag, `not copied, because it needs ${lacking}`)
    for await (const earlier of walkTagHistory(from, name, tag, { signal })) {
      const path = tagIndexPath(name, tag, earlier)
      const linked = await readLink(from, path)
      if (linked !== undefined && await readLink(to, path) !== linked) await writeLink(to, path, linked)
    }
    const path = tagCurrentPath(name, tag)
    const isThere = await readLink(to, path) === digest
    if (!isThere) await writeLink(to, path, digest)
    observer.tag(!isThere)
  }

  /** Something that a tag on this manifest would show and the target does not have. */
  async #lackingOf (digest: Digest): Promise<Digest | undefined> {
    const { to, name, manifests } = this.#parts
    if (this.#lacking.has(digest)) return digest
    const canonical = await readLink(to, linkPath(name, '_manifests/revisions', digest))
    if (canonical === undefined) return digest
    // Without anything lacking there is no need to read manifests.
    if (this.#lacking.size === 0) return undefined
    const found = await manifests.references(canonical)
    if (found === undefined) return canonical
    const blob = found.blobs.find(blob => this.#lacking.has(blob))
    if (blob !== undefined) return blob
    for (const child of found.children) {
      // An index may list what was never pushed here, and may list blobs.
      const isHere = await orIfMissing(to.stat(linkPath(name, '_manifests/revisions', child)), undefined) !== undefined
      const lacking = this.#lacking.has(child) ? child : isHere ? await this.#lackingOf(child) : undefined
      if (lacking !== undefined) return lacking
    }
    return undefined
  }

  async #orFailed<T> (reference: Tag | Digest, operation: () => Promise<T>): Promise<T | undefined> {
    const { name, observer, signal } = this.#parts
    try {
      return await operation()
    } catch (error) {
      signal.throwIfAborted()
      observer.failed(name, reference, error instanceof Error ? error.message : String(error))
      return undefined
    }
  }
}
