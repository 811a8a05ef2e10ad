import { orIfMissing } from '../errors/driver-error.js'
import { OciError } from '../errors/oci-error.js'
import { isTag } from '../reference/reference.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { concurrently } from './concurrently.js'
import { manifestsPath, tagCurrentPath, tagIndexPath, tagPath, tagsPath } from './layout.js'
import { readLink, readLinkNow, writeLink } from './linked-blob-store.js'
import { pageOf } from './page.js'
import type { Eventually, Page, PageRequest, TagStore } from './types.js'

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
    await writeLink(this.#driver, tagCurrentPath(this.#name, tag), digest)
    await writeLink(this.#driver, tagIndexPath(this.#name, tag, digest), digest)
  }

  async delete (tag: Tag): Promise<boolean> {
    return await orIfMissing(this.#driver.delete(tagPath(this.#name, tag)).then(() => true), false)
  }

  async list (page: PageRequest): Promise<Page<Tag>> {
    return pageOf(await this.#all(), page)
  }

  async pointingAt (digests: ReadonlySet<Digest>): Promise<Tag[]> {
    const tags = await orIfMissing(this.#driver.list(tagsPath(this.#name)), [])
    const valid = tags.filter(isTag)
    const targets = await concurrently(valid, async tag => await readLink(this.#driver, tagCurrentPath(this.#name, tag)))
    return valid.filter((_, i) => {
      const target = targets[i]
      return target !== undefined && digests.has(target)
    })
  }

  async #all (): Promise<Tag[]> {
    const names = await orIfMissing(this.#driver.list(tagsPath(this.#name)), undefined)
    // one name that is no tag would make some clients refuse the whole list.
    if (names !== undefined) return names.filter(isTag)
    // a repository whose manifests never had a tag has an empty list; one that holds none is unknown.
    const manifests = await orIfMissing(this.#driver.stat(manifestsPath(this.#name)), undefined)
    if (manifests === undefined) throw new OciError('NAME_UNKNOWN', { detail: { name: this.#name } })
    return []
  }
}
