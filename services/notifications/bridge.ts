import { ForwardingBlobStore, ForwardingManifestStore } from '../registry/forwarding.js'
import type { Digest, Reference, RepositoryName, Tag } from '../reference/reference.js'
import type { BlobStore, Descriptor, ManifestPut, ManifestPutResult, ManifestStore, Repository, StoredManifest } from '../registry/types.js'

/** Hears of what succeeded in a repository during one request. What it does with that never fails the request. */
export interface RepositoryListener {
  blobPushed (descriptor: Descriptor): Promise<void>
  /** The request found the blob; whether its client gets it is not known yet. */
  blobFound (descriptor: Descriptor): void
  blobMounted (descriptor: Descriptor, from: RepositoryName): Promise<void>
  blobDeleted (digest: Digest): Promise<void>
  manifestPushed (manifest: StoredManifest, tag: Tag | undefined): Promise<void>
  /** The request found the manifest; whether its client gets it is not known yet. */
  manifestFound (manifest: StoredManifest, tag: Tag | undefined): void
  manifestDeleted (digest: Digest): Promise<void>
  tagDeleted (tag: Tag): Promise<void>
}

/** The same repository, which tells the listener. */
export function observed (repository: Repository, listener: RepositoryListener): Repository {
  const { name, tags, referrers } = repository
  return {
    name,
    tags,
    referrers,
    blobs: new ObservedBlobs(repository.blobs, listener),
    manifests: new ObservedManifests(repository.manifests, listener)
  }
}

/** Whatever the store takes besides, it gets. */
type Of<Store extends Record<Method, (...args: never[]) => unknown>, Method extends keyof Store> = Parameters<Store[Method]>

class ObservedBlobs extends ForwardingBlobStore {
  readonly #listener: RepositoryListener

  constructor (blobs: BlobStore, listener: RepositoryListener) {
    super(blobs)
    this.#listener = listener
  }

  override async stat (digest: Digest): Promise<Descriptor> {
    const descriptor = await this.inner.stat(digest)
    this.#listener.blobFound({ ...descriptor, digest })
    return descriptor
  }

  override async mount (...args: Of<BlobStore, 'mount'>): Promise<Descriptor | null> {
    const [digest, from] = args
    const descriptor = await this.inner.mount(...args)
    if (descriptor !== null) await this.#listener.blobMounted({ ...descriptor, digest }, from)
    return descriptor
  }

  override async delete (digest: Digest): Promise<void> {
    await this.inner.delete(digest)
    await this.#listener.blobDeleted(digest)
  }

  override async commitUpload (...args: Of<BlobStore, 'commitUpload'>): Promise<Descriptor> {
    const descriptor = await this.inner.commitUpload(...args)
    await this.#listener.blobPushed({ ...descriptor, digest: args[1] })
    return descriptor
  }
}

class ObservedManifests extends ForwardingManifestStore {
  readonly #listener: RepositoryListener

  constructor (manifests: ManifestStore, listener: RepositoryListener) {
    super(manifests)
    this.#listener = listener
  }

  override async get (reference: Reference): Promise<StoredManifest> {
    const manifest = await this.inner.get(reference)
    this.#listener.manifestFound(manifest, 'tag' in reference ? reference.tag : undefined)
    return manifest
  }

  /** A push under several tags is that many pushes. */
  override async put (bytes: Buffer, options: ManifestPut): Promise<ManifestPutResult> {
    const result = await this.inner.put(bytes, options)
    const { reference, tags = [] } = options
    const named = 'tag' in reference ? [reference.tag] : tags.length > 0 ? tags : [undefined]
    await Promise.all(named.map(async tag => { await this.#listener.manifestPushed({ descriptor: result.descriptor, bytes }, tag) }))
    return result
  }

  /** A manifest's tags go with it: each of them is an event too, after that of the manifest. */
  override async delete (reference: Reference): Promise<readonly Tag[]> {
    const tags = await this.inner.delete(reference)
    const manifest = 'digest' in reference ? [this.#listener.manifestDeleted(reference.digest)] : []
    await Promise.all([...manifest, ...tags.map(async tag => { await this.#listener.tagDeleted(tag) })])
    return tags
  }
}
