import { orIfMissing } from '../errors/driver-error.js'
import { OciError } from '../errors/oci-error.js'
import { isTag } from '../reference/reference.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { inOrder } from '../storage/in-order.js'
import { Settling } from '../storage/settling.js'
import { concurrently } from './concurrently.js'
import { manifestsPath, tagCurrentPath, tagIndexPath, tagPath, tagsPath } from './layout.js'
import { linkChange, readLink, readLinkNow } from './linked-blob-store.js'
import { pageOf } from './page.js'
import type { Eventually, Page, PageRequest, TagStore } from './types.js'

/** What of a listing are tags, as long as somebody has the listing. */
const tagsByListing = new WeakMap<readonly string[], readonly Tag[]>()

function tagsIn (names: readonly string[]): readonly Tag[] {
  const known = tagsByListing.get(names)
  if (known !== undefined) return known
  const found = names.every(isTag) ? names as readonly Tag[] : names.filter(isTag)
  tagsByListing.set(names, found)
  return found
}

/** The tags of one repository: for each a link to what it points at now, and one to everything it ever pointed at. */
export class RepositoryTags implements TagStore {
  readonly #driver: StorageDriver
  readonly #name: RepositoryName

  constructor (driver: StorageDriver, name: RepositoryName) {
    this.#driver = driver
    this.#name = name
  }

  get (tag: Tag): Eventually<Digest | undefined> {
    return readLinkNow(this.#driver, tagCurrentPath(this.#name, tag))
  }

  async set (tag: Tag, digest: Digest): Promise<void> {
    // A tag is listed as soon as it has a directory, so what it points at is what goes into that first.
    const settling = new Settling()
    const links = [tagCurrentPath(this.#name, tag), tagIndexPath(this.#name, tag, digest)]
    await inOrder(this.#driver, links.map(path => linkChange(path, digest, { settling })))
    await settling.end()
  }

  async delete (tag: Tag): Promise<boolean> {
    return await orIfMissing(this.#driver.delete(tagPath(this.#name, tag)).then(() => true), false)
  }

  async list (page: PageRequest): Promise<Page<Tag>> {
    return pageOf(await this.#all(), page)
  }

  async pointingAt (digests: ReadonlySet<Digest>): Promise<Tag[]> {
    const valid = tagsIn(await orIfMissing(this.#driver.list(tagsPath(this.#name)), []))
    const targets = await concurrently(valid, async tag => await readLink(this.#driver, tagCurrentPath(this.#name, tag)))
    return valid.filter((_, i) => {
      const target = targets[i]
      return target !== undefined && digests.has(target)
    })
  }

  async #all (): Promise<readonly Tag[]> {
    const names = await orIfMissing(this.#driver.list(tagsPath(this.#name)), undefined)
    // one name that is no tag would make some clients refuse the whole list.
    if (names !== undefined) return tagsIn(names)
    // a repository whose manifests never had a tag has an empty list; one that holds none is unknown.
    const manifests = await orIfMissing(this.#driver.stat(manifestsPath(this.#name)), undefined)
    if (manifests === undefined) throw new OciError('NAME_UNKNOWN', { detail: { name: this.#name } })
    return []
  }
}
