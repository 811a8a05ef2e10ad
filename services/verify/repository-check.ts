import { orIfMissing } from '../errors/driver-error.js'
import { isCanonical } from '../reference/reference.js'
import type { Digest, Tag } from '../reference/reference.js'
import { linkPath, referrerLinkPath, tagCurrentPath, tagIndexPath, tagPath } from '../registry/layout.js'
import type { LinkSet } from '../registry/layout.js'
import { walkLinks, walkReferrers, walkTagHistory, walkTags } from '../registry/walk.js'
import type { ReferrerEntry } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import type { Contents } from './contents.js'
import type { DigestFilter } from './digest-filter.js'
import type { Problem } from './finding.js'
import type { Judge } from './judge.js'
import { LinkCheck } from './link-check.js'
import { linkState } from './link-state.js'
import type { Pace } from './pace.js'
import type { RepositoryView } from './repository-view.js'

export interface RepositoryCheckParts {
  readonly driver: StorageDriver
  readonly contents: Contents
  readonly judge: Judge
  readonly pace: Pace
  readonly view: RepositoryView
  /** Gets every digest that is linked. */
  readonly linked: DigestFilter
  readonly repair: boolean
  readonly onManifest: () => void
  readonly onTag: () => void
  readonly signal: AbortSignal | undefined
}

/** Looks at everything in one repository, manifests first: whether a tag or a referrer is right depends on them. */
export class RepositoryCheck {
  readonly #parts: RepositoryCheckParts
  readonly #links: LinkCheck

  constructor (parts: RepositoryCheckParts) {
    this.#parts = parts
    this.#links = new LinkCheck(parts)
  }

  async run (): Promise<void> {
    const { judge, repair } = this.#parts
    await this.#walkLinks('_manifests/revisions', async (digest, isFirst) => await this.#revision(digest, isFirst))
    await this.#walkLinks('_layers', async digest => await this.#links.look('_layers', digest))
    // What is taken out of its place now leaves other things behind, which are to be found in the same run.
    if (repair) await judge.settle()
    await this.#walkTags()
    await this.#walkReferrers()
  }

  async #walkLinks (set: LinkSet, look: (digest: Digest, isFirst: boolean) => Promise<Problem[]>): Promise<void> {
    const { driver, view, linked, judge, pace, signal } = this.#parts
    for await (const digest of walkLinks(driver, view.name, set, { signal })) {
      linked.add(digest)
      await pace.spend()
      let looks = 0
      await judge.consider({ repository: view.name, digest, path: linkPath(view.name, set, digest) }, async () => await look(digest, looks++ === 0))
    }
  }

  async #revision (digest: Digest, isFirst: boolean): Promise<Problem[]> {
    const { driver, view, onManifest } = this.#parts
    const problems = await this.#links.look('_manifests/revisions', digest)
    const isReadable = problems.length === 0 && isCanonical(digest) && await linkState(driver, linkPath(view.name, '_manifests/revisions', digest)) !== 'absent'
    if (!isReadable) return problems
    if (isFirst) onManifest()
    return await this.#manifest(digest)
  }

  async #manifest (digest: Digest): Promise<Problem[]> {
    const { driver, view } = this.#parts
    const manifest = await view.understand(digest)
    if (manifest === undefined) return []
    if (typeof manifest === 'string') return [{ severity: 'odd', what: `a manifest that would not be accepted now: ${manifest}` }]
    const { missing: notHere, wrong } = await view.references.look(manifest)
    const missing: Digest[] = []
    for (const needed of notHere) if (!await view.isWithdrawn(needed)) missing.push(needed)
    const { subject } = manifest
    const entry = subject === undefined ? undefined : referrerLinkPath(view.name, subject, digest)
    const isListed = entry === undefined || typeof await linkState(driver, entry) === 'object'
    return [
      ...missing.map(needs => ({ severity: 'missing', what: 'content that the manifest refers to is not there', needs } as const)),
      ...wrong.map(needs => ({ severity: 'odd', what: 'content has another size than the manifest says', needs } as const)),
      ...(isListed ? [] : [{ severity: 'odd', what: 'not among the referrers of its subject', fix: { kind: 'link', path: entry, digest } } as const])
    ]
  }

  async #walkTags (): Promise<void> {
    const { driver, view, judge, pace, onTag, signal } = this.#parts
    for await (const tag of walkTags(driver, view.name, { signal })) {
      onTag()
      await pace.spend()
      const current = tagCurrentPath(view.name, tag)
      const path = await orIfMissing(driver.stat(current), undefined) === undefined ? tagPath(view.name, tag) : current
      await judge.consider({ repository: view.name, tag, path }, async () => await this.#tag(tag))
      for await (const digest of walkTagHistory(driver, view.name, tag, { signal })) {
        await pace.spend()
        await judge.consider({ repository: view.name, tag, digest, path: tagIndexPath(view.name, tag, digest) }, async () => await this.#history(tag, digest))
      }
    }
  }

  async #tag (tag: Tag): Promise<Problem[]> {
    const { driver, view } = this.#parts
    const file = tagCurrentPath(view.name, tag)
    const state = await linkState(driver, file)
    const aside = { kind: 'aside', path: tagPath(view.name, tag), file } as const
    if (state === 'absent') {
      // Not even its directory, if it was deleted meanwhile.
      const exists = await orIfMissing(driver.stat(tagPath(view.name, tag)).then(() => true), false)
      return exists ? [{ severity: 'orphaned', what: 'a tag that points to nothing', fix: aside }] : []
    }
    if (state === 'broken') return [{ severity: 'corrupt', what: 'the tag says nothing that could be understood', fix: aside }]
    if (await view.hasManifest(state.target)) return []
    const isNeeded = async (): Promise<boolean> => await view.hasManifest(state.target)
    return [{ severity: 'missing', what: 'the manifest that the tag points to is not there', needs: state.target, fix: { ...aside, isNeeded } }]
  }

  async #history (tag: Tag, digest: Digest): Promise<Problem[]> {
    const { driver, view } = this.#parts
    const path = tagIndexPath(view.name, tag, digest)
    const state = await linkState(driver, path)
    if (state === 'absent') return []
    if (await this.#isLinked(digest)) return typeof state === 'object' ? [] : [{ severity: 'corrupt', what: 'the link says nothing that could be understood', fix: { kind: 'link', path, digest } }]
    return [{ severity: 'orphaned', what: 'the tag once pointed to a manifest that is gone', fix: { kind: 'aside', path, isNeeded: async () => await this.#isLinked(digest) } }]
  }

  async #walkReferrers (): Promise<void> {
    const { driver, view, judge, pace, signal } = this.#parts
    for await (const entry of walkReferrers(driver, view.name, { signal })) {
      await pace.spend()
      const path = referrerLinkPath(view.name, entry.subject, entry.referrer)
      await judge.consider({ repository: view.name, digest: entry.referrer, path }, async () => await this.#referrer(entry, path))
    }
  }

  async #referrer ({ subject, referrer }: ReferrerEntry, path: string): Promise<Problem[]> {
    const { driver, view } = this.#parts
    if (await linkState(driver, path) === 'absent') return []
    if (!await this.#isLinked(referrer)) {
      return [{ severity: 'orphaned', what: `listed as a referrer of ${subject}, and gone`, needs: subject, fix: { kind: 'aside', path, isNeeded: async () => await this.#isLinked(referrer) } }]
    }
    const manifest = await view.understand(referrer)
    if (typeof manifest !== 'object' || manifest.subject === subject) return []
    return [{ severity: 'orphaned', what: `listed as a referrer of ${subject}, and is none`, needs: subject, fix: { kind: 'aside', path } }]
  }

  async #isLinked (digest: Digest): Promise<boolean> {
    const { driver, view } = this.#parts
    return await linkState(driver, linkPath(view.name, '_manifests/revisions', digest)) !== 'absent' || await view.isWithdrawn(digest)
  }
}
