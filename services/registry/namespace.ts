import { LRUCache } from 'lru-cache'
import type { Digest, RepositoryName } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import type { UploadSessions } from '../uploads/sessions.js'
import { Descriptors } from '../cache/descriptors.js'
import { WithdrawnManifests } from '../garbage/withdrawn-manifests.js'
import { BlobHolders } from './blob-holders.js'
import { GlobalBlobStore } from './blob-store.js'
import { listRepositories } from './catalog.js'
import { LinkedBlobStore } from './linked-blob-store.js'
import { ManifestContents } from './manifest-contents.js'
import { Publication } from './publication.js'
import { pushedMediaType } from './pushed-media-type.js'
import { STRICT } from './reference-check.js'
import type { ReferenceValidation } from './reference-check.js'
import { RepositoryBlobs } from './repository-blobs.js'
import { RepositoryManifests } from './repository-manifests.js'
import { RepositoryReferrers } from './repository-referrers.js'
import { RepositoryTags } from './repository-tags.js'
import { SmallBlobs } from './small-blobs.js'
import type { Namespace, Page, PageRequest, Repository, Visibility } from './types.js'

/** Repositories that are kept ready; what they are made of is small. */
const MAX_REPOSITORIES = 1000

export interface NamespaceParts {
  readonly driver: StorageDriver
  readonly uploads: UploadSessions
  /** Remembers nothing unless told otherwise. */
  readonly descriptors?: Descriptors
  /** What of a manifest's references must be there; everything unless told otherwise. */
  readonly validation?: ReferenceValidation
  /** False: clients are never sent to the storage itself. Default true. */
  readonly redirect?: boolean
  /**
   * True: code that is not ours gets the repositories. Each request has its own, which it may change, and what is read
   * of a blob is read by `open`.
   */
  readonly decorated?: boolean
}

/** All repositories on one storage driver. */
export class StorageNamespace implements Namespace {
  readonly #driver: StorageDriver
  readonly #uploads: UploadSessions
  readonly #content: GlobalBlobStore
  readonly #manifests: ManifestContents
  readonly #descriptors: Descriptors
  readonly #validation: ReferenceValidation
  readonly #withdrawn: WithdrawnManifests
  readonly #holders = new BlobHolders()
  readonly #small: SmallBlobs | undefined
  /** Made once, and not for each request: nothing in them is about a request. */
  readonly #repositories: LRUCache<RepositoryName, Repository> | undefined

  constructor ({ driver, uploads, descriptors = new Descriptors(), validation = STRICT, redirect = true, decorated = false }: NamespaceParts) {
    this.#validation = validation
    this.#driver = driver
    this.#uploads = uploads
    this.#descriptors = descriptors
    this.#content = new GlobalBlobStore(driver, { descriptors, redirect })
    this.#manifests = new ManifestContents(this.#content)
    if (!decorated) {
      this.#small = new SmallBlobs(this.#content)
      this.#repositories = new LRUCache({ max: MAX_REPOSITORIES })
    }
    this.#withdrawn = new WithdrawnManifests(driver)
  }

  repository (name: RepositoryName): Repository {
    const known = this.#repositories?.get(name)
    if (known !== undefined) return known
    const made = this.#make(name)
    this.#repositories?.set(name, made)
    return made
  }

  #make (name: RepositoryName): Repository {
    const driver = this.#driver
    const content = this.#content
    const contents = this.#manifests
    const withdrawn = this.#withdrawn
    const validation = this.#validation
    const layers = this.#layers(name)
    const revisions = this.#revisions(name)
    const linksOf = (repository: RepositoryName): LinkedBlobStore => this.#layers(repository)
    const tags = new RepositoryTags(driver, name)
    const referrers = new RepositoryReferrers({ name, driver, contents, revisions, tags })
    const publication = new Publication({ name, contents, validation, withdrawn, layers, revisions })
    const manifests = new RepositoryManifests({ name, driver, contents, revisions, layers, tags, referrers, validation, publication })
    const blobs = new RepositoryBlobs({ name, content, small: this.#small, links: layers, linksOf, uploads: this.#uploads, holders: this.#holders })
    return { name, blobs, manifests, tags, referrers }
  }

  async forget (digest: Digest): Promise<void> {
    this.#small?.forget(digest)
    await this.#content.clear(digest)
  }

  async repositories (page: PageRequest, visible?: Visibility): Promise<Page<RepositoryName>> {
    return await listRepositories(this.#driver, page, visible)
  }

  #layers (name: RepositoryName): LinkedBlobStore {
    const content = this.#content
    return new LinkedBlobStore({
      driver: this.#driver,
      name,
      set: '_layers',
      content,
      descriptors: this.#descriptors,
      describe: canonical => content.stat(canonical)
    })
  }

  #revisions (name: RepositoryName): LinkedBlobStore {
    const driver = this.#driver
    return new LinkedBlobStore({
      driver,
      name,
      set: '_manifests/revisions',
      content: this.#content,
      withdrawn: this.#withdrawn,
      descriptors: this.#descriptors,
      describe: async digest => {
        const content = await this.#manifests.get(digest)
        if (content === undefined) return undefined
        return { mediaType: await pushedMediaType(driver, name, digest, content), digest, size: content.bytes.length }
      }
    })
  }
}
