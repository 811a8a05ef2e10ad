import type { Readable } from 'node:stream'
import type { Digest, Reference, RepositoryName, Tag } from '../reference/reference.js'
import type { ByteRange } from '../storage/driver.js'
import type { UploadSession } from '../uploads/session.js'
import type { BlobStore, Descriptor, Eventually, ManifestPut, ManifestPutResult, ManifestStore, StoredManifest } from './types.js'

/** Passes everything on to another blob store: what a decorator extends, to change only what it is about. */
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

  mount (digest: Digest, from: RepositoryName): Promise<Descriptor | null> {
    return this.inner.mount(digest, from)
  }

  holders (digest: Digest): readonly RepositoryName[] {
    return this.inner.holders(digest)
  }

  delete (digest: Digest): Promise<void> {
    return this.inner.delete(digest)
  }

  startUpload (options?: { readonly sha512?: boolean, readonly signal?: AbortSignal }): Promise<UploadSession> {
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

  commitUpload (session: UploadSession, digest: Digest): Promise<Descriptor> {
    return this.inner.commitUpload(session, digest)
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
