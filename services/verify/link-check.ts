import { CANONICAL, isCanonical } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import { linkPath } from '../registry/layout.js'
import type { LinkSet } from '../registry/layout.js'
import type { StorageDriver } from '../storage/driver.js'
import type { Contents } from './contents.js'
import type { Problem } from './finding.js'
import { linkState } from './link-state.js'
import type { RepositoryView } from './repository-view.js'

export interface LinkCheckParts {
  readonly driver: StorageDriver
  readonly contents: Contents
  readonly view: RepositoryView
}

const LEFT_OVER: Problem['what'] = 'a link to content that is not there, and that nothing needs'

/** Looks at the links of one repository: canonical ones, and aliases under another algorithm. */
export class LinkCheck {
  readonly #parts: LinkCheckParts

  constructor (parts: LinkCheckParts) {
    this.#parts = parts
  }

  /** Everything about one link of one of the sets, but not what a manifest behind it says. */
  async look (set: LinkSet, digest: Digest): Promise<Problem[]> {
    const { driver, view } = this.#parts
    const state = await linkState(driver, linkPath(view.name, set, digest))
    // Docker's registry leaves the directories of links that it removes.
    if (state === 'absent') return []
    if (!isCanonical(digest)) return await this.#alias(set, digest, state === 'broken' ? undefined : state.target)
    if (state === 'broken') return await this.#wrong(set, digest, 'the link says nothing that could be understood')
    if (state.target !== digest) return await this.#wrong(set, digest, `the link says ${state.target}`)
    return await this.#hasContent(digest) ? [] : await this.#dangling(set, digest)
  }

  /** The name of the link says what it should say. */
  async #wrong (set: LinkSet, digest: Digest, what: string): Promise<Problem[]> {
    const path = linkPath(this.#parts.view.name, set, digest)
    const fix = await this.#hasContent(digest) ? { kind: 'link', path, digest } as const : { kind: 'aside', path } as const
    return [{ severity: 'corrupt', what, fix }]
  }

  /** A link that something needs stays: when its content is pushed again, to any repository, all is well here too. */
  async #dangling (set: LinkSet, digest: Digest): Promise<Problem[]> {
    const { view } = this.#parts
    const isNeeded = await view.needs(digest)
    const fix = { kind: 'aside', path: linkPath(view.name, set, digest), isNeeded: async () => await this.#hasContent(digest) } as const
    if (set === '_manifests/revisions') return [{ severity: 'missing', what: 'the content of the manifest is not there', ...(isNeeded ? {} : { fix }) }]
    return isNeeded ? [] : [{ severity: 'orphaned', what: LEFT_OVER, fix }]
  }

  async #alias (set: LinkSet, digest: Digest, target: Digest | undefined): Promise<Problem[]> {
    const { driver, contents, view } = this.#parts
    const aside = { kind: 'aside', path: linkPath(view.name, set, digest) } as const
    if (target === undefined || !isCanonical(target)) return [{ severity: 'corrupt', what: `the link names no ${CANONICAL} digest`, fix: aside }]
    if (await linkState(driver, linkPath(view.name, set, target)) === 'absent') {
      if (await view.isWithdrawn(target)) return []
      const isNeeded = async (): Promise<boolean> => await linkState(driver, linkPath(view.name, set, target)) !== 'absent'
      return [{ severity: 'orphaned', what: `${target}, of which it is another name, is not linked here`, fix: { ...aside, isNeeded } }]
    }
    const actual = await contents.sha512Of(target)
    return actual === undefined || actual === digest ? [] : [{ severity: 'corrupt', what: `${target}, of which it is another name, has ${actual}`, fix: aside }]
  }

  async #hasContent (digest: Digest): Promise<boolean> {
    return await this.#parts.contents.stat(digest) !== undefined
  }
}
