import type { Digest, RepositoryName } from '../reference/reference.js'
import { ForwardingBlobStore } from '../registry/forwarding.js'
import type { BlobStore, Descriptor, MountOptions, Review, StartUploadOptions } from '../registry/types.js'
import type { UploadSession } from '../uploads/session.js'
import type { Inquiry } from './inquiry.js'
import { blobDelete, blobPull, noConfig } from './stored-content.js'

/** Asks the policy before anything is done with blobs. */
export class PolicyBlobs extends ForwardingBlobStore {
  readonly #inquire: () => Inquiry
  readonly #committed = new Set<string>()

  constructor (inner: BlobStore, inquire: () => Inquiry) {
    super(inner)
    this.#inquire = inquire
  }

  override async stat (digest: Digest): Promise<Descriptor> {
    const descriptor = await super.stat(digest)
    const inquiry = this.#inquire()
    const about = blobPull(digest, descriptor)
    return await inquiry.during(async () => {
      await inquiry.ask('beforePull', about)
      inquiry.tellPulled(about)
      return descriptor
    })
  }

  /** A blob that may not be pulled from its source is as good as not there: its bytes have to be sent. */
  override async mount (digest: Digest, from: RepositoryName, options: MountOptions = {}): Promise<Descriptor | null> {
    const inquiry = this.#inquire()
    const mounted = await inquiry.during(async () => {
      try {
        return await super.mount(digest, from, {
          review: async descriptor => {
            await options.review?.(descriptor)
            await mayPull(inquiry, from, digest, descriptor)
            await inquiry.ask('beforePush', { stage: 'mount', digest, descriptor, from })
          }
        })
      } catch (error) {
        if (error instanceof SourceDenied) return null
        throw error
      }
    }, result => result !== null)
    if (mounted !== null) inquiry.tell('afterPush', { kind: 'mount', descriptor: mounted, tags: [], config: noConfig, from })
    return mounted
  }

  override async delete (digest: Digest): Promise<void> {
    const inquiry = this.#inquire()
    await inquiry.during(async () => {
      await inquiry.ask('beforeDelete', blobDelete(digest, async () => await this.inner.stat(digest)))
      await super.delete(digest)
    })
    inquiry.tell('afterDelete', { kind: 'blob', reference: { digest }, tags: [] })
  }

  override async startUpload (options: StartUploadOptions = {}): Promise<UploadSession> {
    const { digest } = options
    const inquiry = this.#inquire()
    return await this.#metered(inquiry, async () => {
      await inquiry.ask('beforePush', { stage: 'start', ...(digest === undefined ? {} : { digest }) })
      return await super.startUpload(options)
    })
  }

  override async resumeUpload (id: string, signal: AbortSignal): Promise<UploadSession> {
    const inquiry = this.#inquire()
    return await this.#metered(inquiry, async () => {
      await inquiry.ask('beforePush', { stage: 'resume', upload: id })
      return await super.resumeUpload(id, signal)
    })
  }

  override async commitUpload (session: UploadSession, digest: Digest, review?: Review<Descriptor>): Promise<Descriptor> {
    const inquiry = this.#inquire()
    const committed = await inquiry.during(async () => await super.commitUpload(session, digest, async descriptor => {
      await review?.(descriptor)
      await inquiry.ask('beforePush', { stage: 'finish', upload: session.id, digest, descriptor })
    }))
    this.#committed.add(session.id)
    inquiry.tell('afterPush', { kind: 'blob', descriptor: committed, tags: [], config: noConfig })
    return committed
  }

  /** The session keeps to the limits that were set until its request is over; so long lasts what was asked. */
  async #metered (inquiry: Inquiry, open: () => Promise<UploadSession>): Promise<UploadSession> {
    try {
      const session = await open()
      const { admit, end } = inquiry.meter(session.id)
      session.meter({ admit, end: async kept => { await end(kept || this.#committed.has(session.id)) } })
      return session
    } catch (error) {
      await inquiry.end(false)
      throw error
    }
  }
}

class SourceDenied extends Error {}

async function mayPull (inquiry: Inquiry, from: RepositoryName, digest: Digest, descriptor: Descriptor): Promise<void> {
  try {
    await inquiry.ask('beforePull', blobPull(digest, descriptor), from)
  } catch (error) {
    throw new SourceDenied('the source may not be pulled from', { cause: error })
  }
}
