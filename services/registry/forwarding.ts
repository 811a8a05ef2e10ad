import type { Readable } from 'node:stream'
import type { Digest, Reference, RepositoryName, Tag } from '../reference/reference.js'
import type { ByteRange } from '../storage/driver.js'
import type { UploadSession } from '../uploads/session.js'
import type { BlobStore, Descriptor, Eventually, ManifestPut, ManifestPutResult, ManifestStore, MountOptions, Namespace, Page, PageRequest, Repository, Review, StartUploadOptions, StoredManifest, TagStore, Visibility } from './types.js'

/** Passes everything on to another namespace: what a decorator extends, to change only what it is about. */
export class ForwardingNamespace implements Namespace {
  protected readonly inner: Namespace

  constructor (inner: Namespace) {
    this.inner = inner
  }

  repository (name: RepositoryName): Repository {
    return this.inner.repository(name)
  }

  repositories (page: PageRequest, visible?: Visibility): Promise<Page<RepositoryName>> {
    return this.inner.repositories(page, visible)
  }

  forget (digest: Digest): Promise<void> {
    return this.inner.forget(digest)
  }
}

/** Passes everything on to another blob store. */
export class ForwardingBlobStore implements BlobStore {
  protected readonly inner: BlobStore

  constructor (inner: BlobStore) {
    this.inner = inner
  }

  stat (digest: Digest): Eventually<Descriptor> {
    return this.inner.stat(digest)
  }

  open (descriptor: Descriptor, range?: ByteRange): Promise<Readable> {
    return this.inner.open(descriptor, range)
  }

  /** Not past a decorator that has an `open` of its own: it is asked with that. */
  bytes (descriptor: Descriptor): Eventually<Buffer> | null {
    return this.open === ForwardingBlobStore.prototype.open ? this.inner.bytes?.(descriptor) ?? null : null
  }

  redirectUrl (descriptor: Descriptor, method: 'GET' | 'HEAD'): Promise<string | null> | null {
    return this.inner.redirectUrl(descriptor, method)
  }

  mount (digest: Digest, from: RepositoryName, options?: MountOptions): Promise<Descriptor | null> {
    return this.inner.mount(digest, from, options)
  }

  holders (digest: Digest): readonly RepositoryName[] {
    return this.inner.holders(digest)
  }

  delete (digest: Digest): Promise<void> {
    return this.inner.delete(digest)
  }

  startUpload (options?: StartUploadOptions): Promise<UploadSession> {
    return this.inner.startUpload(options)
  }

  resumeUpload (id: string, signal: AbortSignal): Promise<UploadSession> {
    return this.inner.resumeUpload(id, signal)
  }

  uploadOffset (id: string, signal: AbortSignal): Promise<number> {
    return this.inner.uploadOffset(id, signal)
  }

  cancelUpload (id: string, signal: AbortSignal): Promise<void> {
    return this.inner.cancelUpload(id, signal)
  }

  commitUpload (session: UploadSession, digest: Digest, review?: Review<Descriptor>): Promise<Descriptor> {
    return this.inner.commitUpload(session, digest, review)
  }
}

/** Passes everything on to another manifest store. */
export class ForwardingManifestStore implements ManifestStore {
  protected readonly inner: ManifestStore

  constructor (inner: ManifestStore) {
    this.inner = inner
  }

  get (reference: Reference): Promise<StoredManifest> {
    return this.inner.get(reference)
  }

  put (bytes: Buffer, options: ManifestPut): Promise<ManifestPutResult> {
    return this.inner.put(bytes, options)
  }

  delete (reference: Reference): Promise<readonly Tag[]> {
    return this.inner.delete(reference)
  }
}

/** Passes everything on to another tag store. */
export class ForwardingTagStore implements TagStore {
  protected readonly inner: TagStore

  constructor (inner: TagStore) {
    this.inner = inner
  }

  get (tag: Tag): Eventually<Digest | undefined> {
    return this.inner.get(tag)
  }

  set (tag: Tag, digest: Digest): Promise<void> {
    return this.inner.set(tag, digest)
  }

  delete (tag: Tag): Promise<boolean> {
    return this.inner.delete(tag)
  }

  list (page: PageRequest): Promise<Page<Tag>> {
    return this.inner.list(page)
  }

  pointingAt (digests: ReadonlySet<Digest>): Promise<Tag[]> {
    return this.inner.pointingAt(digests)
  }
}
