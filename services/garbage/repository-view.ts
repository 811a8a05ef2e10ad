import { orIfMissing, readSmall } from '../errors/driver-error.js'
import { isCanonical, isDigest } from '../reference/reference.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import { concurrently } from '../registry/concurrently.js'
import { linkPath, referrerLinkPath, mediaTypePath, tagCurrentPath, tagIndexPath, tagsPath } from '../registry/layout.js'
import type { LinkSet } from '../registry/layout.js'
import { readLink } from '../registry/linked-blob-store.js'
import { walkLinks, walkTagHistory, walkTags } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'

const MAX_LINK_BYTES = 1024

export interface RepositoryViewOptions {
  readonly driver: StorageDriver
  readonly name: RepositoryName
  /** Storage calls at a time. */
  readonly width: number
  readonly signal?: AbortSignal | undefined
}

/** What a collection wants to know of one repository, as storage has it. */
export class RepositoryView {
  readonly name: RepositoryName
  readonly #driver: StorageDriver
  readonly #width: number
  readonly #signal: AbortSignal | undefined

  constructor ({ driver, name, width, signal }: RepositoryViewOptions) {
    this.#driver = driver
    this.name = name
    this.#width = width
    this.#signal = signal
  }

  /**
   * Manifests that are linked, by canonical digest, and when each was pushed last; a link that says nothing counts. And
   * those of which only a directory is left.
   */
  async manifests (): Promise<{ linked: Map<Digest, Date>, unlinked: Digest[] }> {
    const digests = await this.#collected('_manifests/revisions')
    const found = await concurrently(digests, async digest => await orIfMissing(this.#driver.stat(this.#link('_manifests/revisions', digest)), undefined), this.#width)
    const linked = new Map(digests.flatMap((digest, i) => found[i] === undefined ? [] : [[digest, found[i].modified] as const]))
    return { linked, unlinked: digests.filter(digest => !linked.has(digest)) }
  }

  /** Everything that is, or was, linked as a blob, by canonical digest where that can be told. */
  async * layers (): AsyncGenerator<Digest> {
    for await (const digest of this.#links('_layers')) yield await this.canonical(digest)
  }

  async hasManifest (digest: Digest): Promise<boolean> {
    return await orIfMissing(this.#driver.stat(this.#link('_manifests/revisions', digest)).then(() => true), false)
  }

  async hasLayer (digest: Digest): Promise<boolean> {
    return await orIfMissing(this.#driver.stat(this.#link('_layers', digest)).then(() => true), false)
  }

  /** Where the content of a digest lies that a manifest names; the digest itself when nothing here tells. */
  async canonical (digest: Digest): Promise<Digest> {
    if (isCanonical(digest)) return digest
    return await readLink(this.#driver, this.#link('_layers', digest)) ?? await readLink(this.#driver, this.#link('_manifests/revisions', digest)) ?? digest
  }

  /**
   * What is tagged, with the tags, by canonical digest. Undefined when that cannot be told: there has never been a tag,
   * or one of them cannot be read.
   */
  async tagged (): Promise<Map<Digest, Tag[]> | undefined> {
    if (await orIfMissing(this.#driver.stat(tagsPath(this.name)), undefined) === undefined) return undefined
    const tags: Tag[] = []
    for await (const tag of walkTags(this.#driver, this.name, { signal: this.#signal })) tags.push(tag)
    const targets = await concurrently(tags, async tag => await this.#target(tag), this.#width)
    const tagged = new Map<Digest, Tag[]>()
    for (const [i, target] of targets.entries()) {
      if (target === 'unreadable') return undefined
      if (target !== undefined) tagged.set(target, [...tagged.get(target) ?? [], tags[i] as Tag])
    }
    return tagged
  }

  /** Files beside the links of manifests that are of no use without them, with their contents. */
  async filesOf (manifests: ReadonlyArray<{ readonly digest: Digest, readonly sha512: Digest | undefined, readonly subject: Digest | undefined }>): Promise<Map<Digest, Record<string, string>>> {
    const history = await this.#history(new Set(manifests.flatMap(({ digest, sha512 }) => [digest, ...sha512 === undefined ? [] : [sha512]])))
    const files = await concurrently(manifests, async ({ digest, sha512, subject }) => {
      const paths = [
        mediaTypePath(this.name, digest),
        ...sha512 === undefined ? [] : [this.#link('_manifests/revisions', sha512), ...history.get(sha512) ?? []],
        ...subject === undefined ? [] : [referrerLinkPath(this.name, subject, digest)],
        ...history.get(digest) ?? []
      ]
      const contents = await concurrently(paths, async path => await readSmall(this.#driver.read(path, { maxBytes: MAX_LINK_BYTES })), this.#width)
      return Object.fromEntries(paths.flatMap((path, i) => contents[i] === undefined ? [] : [[path, contents[i].toString('latin1')] as const]))
    }, 1)
    return new Map(manifests.map(({ digest }, i) => [digest, files[i] ?? {}]))
  }

  /** The entries in the histories of all tags for these digests. */
  async #history (digests: ReadonlySet<Digest>): Promise<Map<Digest, string[]>> {
    const entries = new Map<Digest, string[]>()
    for await (const tag of walkTags(this.#driver, this.name, { signal: this.#signal })) {
      for await (const digest of walkTagHistory(this.#driver, this.name, tag)) {
        if (digests.has(digest)) entries.set(digest, [...entries.get(digest) ?? [], tagIndexPath(this.name, tag, digest)])
      }
    }
    return entries
  }

  async #target (tag: Tag): Promise<Digest | 'unreadable' | undefined> {
    const content = await orIfMissing(this.#driver.read(tagCurrentPath(this.name, tag), { maxBytes: MAX_LINK_BYTES }), undefined)
    if (content === undefined) return undefined
    const text = content.toString('latin1').trim()
    if (!isDigest(text)) return 'unreadable'
    return isCanonical(text) ? text : await readLink(this.#driver, this.#link('_manifests/revisions', text)) ?? text
  }

  /** Aliases are as alive as what they stand for. */
  async #collected (set: LinkSet): Promise<Digest[]> {
    const digests: Digest[] = []
    for await (const digest of this.#links(set)) if (isCanonical(digest)) digests.push(digest)
    return digests
  }

  #links (set: LinkSet): AsyncGenerator<Digest> {
    return walkLinks(this.#driver, this.name, set, { signal: this.#signal })
  }

  #link (set: LinkSet, digest: Digest): string {
    return linkPath(this.name, set, digest)
  }
}
