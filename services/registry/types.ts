import type { Readable } from 'node:stream'
import type { ByteRange } from '../storage/driver.js'
import type { Digest, Reference, RepositoryName, Tag } from '../reference/reference.js'
import type { UploadSession } from '../uploads/session.js'
import type { ManifestContent } from './manifest-content.js'

/** A handle on content. `size` is in bytes. A statter's descriptor carries the canonical digest, whatever was asked. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
}

/** A descriptor as an index or a referrers list shows it. */
export interface ReferrerDescriptor extends Descriptor {
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** A value that is here, or will be. Who has it answers at once, and costs no promise. */
export type Eventually<T> = T | Promise<T>

/** Answers whether content is here and where. */
export interface BlobStatter {
  /** May be remembered: at once, then. What was deleted through this registry is never remembered. */
  stat (digest: Digest): Eventually<Descriptor | undefined>
  /** What storage says now, for what is acknowledged because of it. */
  verify (digest: Digest): Eventually<Descriptor | undefined>
}

/** Part of a sorted list: at most `limit` entries, all after `last`, which need not exist. */
export interface PageRequest { readonly limit?: number, readonly last?: string }
export interface Page<T> { readonly items: readonly T[], readonly more: boolean }

/** The part of a registry that somebody may pull from. */
export interface Visibility {
  mayPull (name: RepositoryName): boolean | Promise<boolean>
  /** False when nothing below a path can be pulled, so that nobody need look: `team` for `team/app`. */
  mayContain? (path: string): boolean
}

export interface Namespace {
  repository (name: RepositoryName): Repository
  /**
   * Names of repositories that hold, or held, a manifest; by path component, as docker's registry orders them. Those
   * that are not visible are not there, and nothing tells that they are.
   */
  repositories (page: PageRequest, visible?: Visibility): Promise<Page<RepositoryName>>
  /**
   * Makes everything that remembers the descriptor of this content, in any repository and on any process, forget it:
   * a garbage collection has put it aside.
   */
  forget (digest: Digest): Promise<void>
}

export interface Repository {
  readonly name: RepositoryName
  readonly blobs: BlobStore
  readonly manifests: ManifestStore
  readonly tags: TagStore
  readonly referrers: ReferrerStore
}

/**
 * Looks at what has been verified, while nothing of it is stored or linked yet. What it throws is what the client hears,
 * and nothing is. A store that is put in front of another one hands it on.
 */
export type Review<T> = (verified: T) => void | Promise<void>

export interface StartUploadOptions {
  readonly sha512?: boolean
  /** What the client means to push, where it has said so. */
  readonly digest?: Digest
  readonly signal?: AbortSignal
}

export interface MountOptions {
  /** Sees the descriptor of the blob in its source, before it is linked. */
  readonly review?: Review<Descriptor>
}

export interface BlobStore {
  /** @throws {OciError} BLOB_UNKNOWN when the digest is not linked in this repository. */
  stat (digest: Digest): Eventually<Descriptor>
  /** The bytes of a descriptor that `stat` returned. @throws {OciError} BLOB_UNKNOWN */
  open (descriptor: Descriptor, range?: ByteRange): Promise<Readable>
  /**
   * All bytes of a descriptor that `stat` returned, verified, where they are few enough to be kept in memory; null, at
   * once, where they are not, or this store keeps none: then there is `open`. @throws {OciError} BLOB_UNKNOWN
   */
  bytes? (descriptor: Descriptor): Eventually<Buffer> | null
  /** A URL that serves the bytes in our place, or null; null at once where there never is one. */
  redirectUrl (descriptor: Descriptor, method: 'GET' | 'HEAD'): Promise<string | null> | null
  /** Links a blob of another repository; null when it is not there: the caller starts an upload instead. */
  mount (digest: Digest, from: RepositoryName, options?: MountOptions): Promise<Descriptor | null>
  /** Repositories that were seen to hold the blob lately; not all, and one may have lost it since. */
  holders (digest: Digest): readonly RepositoryName[]
  /** @throws {OciError} BLOB_UNKNOWN */
  delete (digest: Digest): Promise<void>
  startUpload (options?: StartUploadOptions): Promise<UploadSession>
  /** Takes the session's lock. @throws {OciError} BLOB_UPLOAD_UNKNOWN */
  resumeUpload (id: string, signal: AbortSignal): Promise<UploadSession>
  /** Bytes the session holds durably. @throws {OciError} BLOB_UPLOAD_UNKNOWN */
  uploadOffset (id: string, signal: AbortSignal): Promise<number>
  /** @throws {OciError} BLOB_UPLOAD_UNKNOWN */
  cancelUpload (id: string, signal: AbortSignal): Promise<void>
  /**
   * Verifies the session's bytes, makes them visible here under `digest`, and ends the session; a review that throws ends
   * it too.
   *
   * @throws {OciError} DIGEST_INVALID
   */
  commitUpload (session: UploadSession, digest: Digest, review?: Review<Descriptor>): Promise<Descriptor>
}

export interface StoredManifest { readonly descriptor: Descriptor, readonly bytes: Buffer }

export interface ManifestPut {
  /** As the client declared it; undefined when it said nothing useful. */
  readonly mediaType: string | undefined
  readonly reference: Reference
  /** More tags to set, for a push by digest. */
  readonly tags?: readonly Tag[]
  /** Sees the manifest when it and what it refers to have been verified. */
  readonly review?: Review<VerifiedManifest>
}

export interface VerifiedManifest {
  /** The digest is the one the manifest is pushed by. */
  readonly descriptor: Descriptor
  /** Under which its bytes will lie. */
  readonly canonical: Digest
  readonly content: ManifestContent
  readonly bytes: Buffer
}

export interface ManifestPutResult {
  readonly descriptor: Descriptor
  readonly subject?: Digest
  /** What the client may want to know although the push was accepted. */
  readonly warnings: readonly string[]
}

export interface ManifestStore {
  /** The descriptor's digest is the one asked for, or the one the tag was pushed with. @throws {OciError} MANIFEST_UNKNOWN */
  get (reference: Reference): Promise<StoredManifest>
  /** @throws {OciError} MANIFEST_INVALID, DIGEST_INVALID, MANIFEST_BLOB_UNKNOWN (one per missing reference) */
  put (bytes: Buffer, options: ManifestPut): Promise<ManifestPutResult>
  /**
   * By digest: the manifest and every tag on it; by tag: only the tag. Returns the tags that are gone.
   *
   * @throws {OciError} MANIFEST_UNKNOWN
   */
  delete (reference: Reference): Promise<readonly Tag[]>
}

export interface TagStore {
  get (tag: Tag): Eventually<Digest | undefined>
  set (tag: Tag, digest: Digest): Promise<void>
  /** False when there was no such tag. */
  delete (tag: Tag): Promise<boolean>
  /** Byte order. @throws {OciError} NAME_UNKNOWN when the repository never held a manifest. */
  list (page: PageRequest): Promise<Page<Tag>>
  /** Tags that point at one of the digests now. */
  pointingAt (digests: ReadonlySet<Digest>): Promise<Tag[]>
}

export interface ReferrerStore {
  /** Manifests of this repository whose `subject` is the digest, whether or not the subject exists. */
  list (subject: Digest): Promise<ReferrerDescriptor[]>
}
