import type { Readable } from 'node:stream'
import { isChanged, isPathNotFound } from '../errors/driver-error.js'
import { OciError } from '../errors/oci-error.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import type { ByteRange } from '../storage/driver.js'
import { Settling } from '../storage/settling.js'
import type { UploadSession, VerifiedUpload } from '../uploads/session.js'
import type { UploadSessions } from '../uploads/sessions.js'
import type { BlobHolders } from './blob-holders.js'
import { BLOB_MEDIA_TYPE } from './blob-store.js'
import type { GlobalBlobStore } from './blob-store.js'
import type { LinkedBlobStore } from './linked-blob-store.js'
import type { SmallBlobs } from './small-blobs.js'
import type { BlobStore, Descriptor, Eventually, MountOptions, Review, StartUploadOptions } from './types.js'

export interface RepositoryBlobsParts {
  readonly name: RepositoryName
  readonly content: GlobalBlobStore
  readonly small: SmallBlobs | undefined
  readonly links: LinkedBlobStore
  /** The links of another repository, for mounts. */
  readonly linksOf: (name: RepositoryName) => LinkedBlobStore
  readonly uploads: UploadSessions
  readonly holders: BlobHolders
}

/** The blobs of one repository: reading through links, mounting, and the uploads that make new ones. */
export class RepositoryBlobs implements BlobStore {
  readonly #parts: RepositoryBlobsParts

  constructor (parts: RepositoryBlobsParts) {
    this.#parts = parts
  }

  stat (digest: Digest): Eventually<Descriptor> {
    const found = this.#parts.links.stat(digest)
    return found instanceof Promise ? found.then(descriptor => known(descriptor, digest)) : known(found, digest)
  }

  async open (descriptor: Descriptor, range?: ByteRange): Promise<Readable> {
    return await this.#orForget(descriptor, await this.#parts.content.open(descriptor.digest, range))
  }

  bytes (descriptor: Descriptor): Eventually<Buffer> | null {
    const found = this.#parts.small?.get(descriptor) ?? null
    return found instanceof Promise ? found.then(async bytes => await this.#orForget(descriptor, bytes)) : found
  }

  redirectUrl ({ digest }: Descriptor, method: 'GET' | 'HEAD'): Promise<string | null> | null {
    return this.#parts.content.redirectUrl(digest, method)
  }

  async mount (digest: Digest, from: RepositoryName, { review }: MountOptions = {}): Promise<Descriptor | null> {
    const { name, links, linksOf, holders } = this.#parts
    // The client will not send what it is told is here.
    const descriptor = await linksOf(from).verify(digest)
    if (descriptor === undefined) return null
    if (review !== undefined) await review(descriptor)
    await links.remember(digest, descriptor.digest, async () => {
      await links.link(digest, descriptor.digest)
      return descriptor
    })
    holders.note(digest, name)
    return descriptor
  }

  holders (digest: Digest): readonly RepositoryName[] {
    return this.#parts.holders.of(digest)
  }

  async delete (digest: Digest): Promise<void> {
    // a link whose content is gone shows nothing, so there is nothing to delete; but it goes all the same.
    const descriptor = await this.#parts.links.verify(digest)
    const unlinked = await this.#parts.links.unlink(digest)
    if (descriptor === undefined || unlinked === undefined) throw unknown(digest)
  }

  async startUpload (options: StartUploadOptions = {}): Promise<UploadSession> {
    return await this.#parts.uploads.start(this.#parts.name, options)
  }

  async resumeUpload (id: string, signal: AbortSignal): Promise<UploadSession> {
    return await this.#parts.uploads.resume(this.#parts.name, id, signal)
  }

  async uploadOffset (id: string, signal: AbortSignal): Promise<number> {
    return await this.#parts.uploads.offset(this.#parts.name, id, signal)
  }

  async cancelUpload (id: string, signal: AbortSignal): Promise<void> {
    await this.#parts.uploads.cancel(this.#parts.name, id, signal)
  }

  async commitUpload (session: UploadSession, digest: Digest, review?: Review<Descriptor>): Promise<Descriptor> {
    const { name, content, links, holders } = this.#parts
    const upload = await session.verify(digest)
    const { canonical, size, spare } = upload
    const descriptor = { mediaType: BLOB_MEDIA_TYPE, digest: canonical, size }
    if (review !== undefined) await reviewed(session, descriptor, review)
    // The link comes first: without content it shows nothing, and the move is then the one step that publishes.
    // If either fails the session still holds every acknowledged byte, and the client may repeat its PUT.
    const publish = async (): Promise<Descriptor> => {
      const settling = new Settling()
      const isHere = await content.holds(canonical, size)
      const after = isHere ? [] : [content.adoption(upload.path, canonical, { settling, version: upload.version })]
      try {
        await links.link(digest, canonical, { settling, recycle: spare, after })
      } catch (error) {
        if (!isPathNotFound(error) && !isChanged(error)) throw error
        await links.link(digest, canonical, { settling })
        await this.#adopt(session, upload, digest, settling)
      }
      // What was there may have been put aside by a collection since; the bytes are here anyway.
      if (isHere && !await content.holds(canonical, size)) await this.#adopt(session, upload, digest, settling)
      await settling.end()
      return descriptor
    }
    await links.remember(digest, canonical, async () => await content.remember(canonical, publish))
    holders.note(digest, name)
    // The blob is there. Leftovers of its session are for the purge, not a reason to tell the client otherwise.
    await session.discard().catch(() => {})
    return descriptor
  }

  /** Somebody else took the content out of storage: what is remembered of it is wrong. */
  async #orForget<T> ({ digest }: Descriptor, found: T | undefined): Promise<T> {
    if (found !== undefined) return found
    await this.#parts.links.forget(digest)
    throw unknown(digest)
  }

  /** What is published is what was verified: a file that somebody has written to since is read again, whole. */
  async #adopt (session: UploadSession, { path, canonical, size, version }: VerifiedUpload, digest: Digest, settling: Settling): Promise<void> {
    const { content } = this.#parts
    try {
      await content.adopt(path, canonical, size, { settling, version })
    } catch (error) {
      if (!isChanged(error)) throw error
      const again = await session.verify(digest, { afresh: true })
      await content.adopt(path, canonical, again.size, { settling, version: again.version })
    }
  }
}

/** What was refused is nothing that a client could go on with, and must not fill the disk. */
async function reviewed (session: UploadSession, descriptor: Descriptor, review: Review<Descriptor>): Promise<void> {
  try {
    await review(descriptor)
  } catch (error) {
    await session.discard().catch(() => {})
    throw error
  }
}

function known (descriptor: Descriptor | undefined, digest: Digest): Descriptor {
  if (descriptor === undefined) throw unknown(digest)
  return descriptor
}

function unknown (digest: Digest): OciError {
  return new OciError('BLOB_UNKNOWN', { detail: digest })
}
