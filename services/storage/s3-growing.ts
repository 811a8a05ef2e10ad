import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { DriverError } from '../errors/driver-error.js'
import type { S3Bucket, S3Object, S3Part } from './s3-bucket.js'
import { copyParts } from './s3-copy.js'
import type { CopySettings } from './s3-copy.js'
import { isMissing } from './s3-error.js'

/**
 * A growing file whose parts wait in a multipart upload. The object in the file's place holds the bytes that come after
 * the parts, fewer than a part, and says in its metadata which upload, how many parts, their bytes, and a hash of their
 * etags: parts that a dead or a late writer uploaded are not taken for those that were acknowledged.
 */
export interface Growing { readonly upload: string, readonly count: number, readonly bytes: number, readonly hash: string }

const NAMES = { upload: 'oci-upload', count: 'oci-parts', bytes: 'oci-bytes', hash: 'oci-hash' } as const

export function growingMetadata (upload: string, parts: readonly S3Part[]): Record<string, string> {
  return { [NAMES.upload]: upload, [NAMES.count]: String(parts.length), [NAMES.bytes]: String(bytesOf(parts)), [NAMES.hash]: hashOf(parts) }
}

/** Undefined for an object that is complete. */
export function growingOf ({ metadata }: S3Object): Growing | undefined {
  const { [NAMES.upload]: upload, [NAMES.count]: count, [NAMES.bytes]: bytes, [NAMES.hash]: hash } = metadata
  if (upload === undefined || count === undefined || bytes === undefined || hash === undefined) return undefined
  return { upload, count: Number(count), bytes: Number(bytes), hash }
}

export function bytesOf (parts: readonly S3Part[]): number {
  return parts.reduce((total, { size }) => total + size, 0)
}

/** All parts of the upload, of which the first `count` are those that were acknowledged: throws `failed` when they are others by now. */
export async function partsOf (bucket: S3Bucket, path: string, { upload, count, bytes, hash }: Growing): Promise<S3Part[]> {
  const parts = await bucket.parts(bucket.key(path), upload)
  const acknowledged = parts.slice(0, count)
  if (acknowledged.length !== count || bytesOf(acknowledged) !== bytes || hashOf(acknowledged) !== hash) {
    throw new DriverError('failed', { driver: 's3', path, detail: 'the parts of the upload are not those that were acknowledged' })
  }
  return parts
}

/**
 * Makes one object of a growing file, in its place: its parts and what comes after them. Says what it is then, also
 * when somebody else was faster.
 */
export async function complete (bucket: S3Bucket, path: string, growing: Growing, copy: CopySettings): Promise<S3Object> {
  const key = bucket.key(path)
  try {
    const [parts, rest] = await Promise.all([partsOf(bucket, path, growing), restOf(bucket, key, growing)])
    if (rest !== undefined) await join(bucket, key, growing, { parts, rest, copy })
  } catch (error) {
    // Completed by somebody else, or by an attempt of ours whose answer was lost.
    if (!isMissing(error)) throw error
  }
  // The answer to a completion has an etag too, but Ceph's is not the one that the object has.
  const found = await bucket.head(key)
  if (found !== undefined && growingOf(found) === undefined) return found
  throw new DriverError('path-not-found', { driver: 's3', path, detail: 'the parts of the upload are gone' })
}

/** What comes after the parts; undefined when something else lies there by now. */
async function restOf (bucket: S3Bucket, key: string, { upload }: Growing): Promise<Buffer | undefined> {
  const found = await bucket.get(key)
  if (growingOf(found)?.upload === upload) return await buffer(found.body)
  found.body.destroy()
  return undefined
}

async function join (bucket: S3Bucket, key: string, { upload, count, bytes }: Growing, { parts, rest, copy }: { parts: S3Part[], rest: Buffer, copy: CopySettings }): Promise<void> {
  const hasRest = rest.length > 0
  if (parts.length <= count + Number(hasRest)) {
    const last = hasRest ? [await bucket.uploadPart(key, upload, count + 1, rest)] : []
    await bucket.completeUpload(key, upload, [...parts.slice(0, count), ...last])
    return
  }
  // Parts that were never acknowledged follow. S3 would leave them out, Ceph refuses: so all of them become an object,
  // and what counts is copied from that.
  const size = bytesOf(parts)
  const etag = await bucket.completeUpload(key, upload, parts)
  const again = await bucket.createUpload(key)
  const copied = await copyParts(bucket, { key, etag, size, end: bytes }, { key, upload: again }, copy)
  const last = hasRest ? [await bucket.uploadPart(key, again, copied.length + 1, rest)] : []
  await bucket.completeUpload(key, again, [...copied, ...last])
}

/** Over etags without quotes: stores differ in where they put them. */
function hashOf (parts: readonly S3Part[]): string {
  return createHash('sha256').update(parts.map(({ number, etag, size }) => `${number} ${etag.replaceAll('"', '')} ${size}`).join('\n')).digest('hex')
}
