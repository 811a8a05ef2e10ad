import { createHash } from 'node:crypto'
import { digestOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import type { GlobalBlobStore } from './blob-store.js'

/** Storage holds other bytes than it should. Never served; the client sees UNKNOWN. */
export class DamagedContent extends Error {
  constructor (digest: Digest) {
    super(`storage holds damaged content for ${digest}`)
    this.name = 'DamagedContent'
  }
}

/** The bytes behind a canonical digest. Undefined when they are not in storage. @throws {DamagedContent} */
export async function readVerified (blobs: Pick<GlobalBlobStore, 'read'>, digest: Digest, maxBytes: number): Promise<Buffer | undefined> {
  const bytes = await blobs.read(digest, maxBytes)
  if (bytes !== undefined && digestOf('sha256', createHash('sha256').update(bytes).digest('hex')) !== digest) throw new DamagedContent(digest)
  return bytes
}
