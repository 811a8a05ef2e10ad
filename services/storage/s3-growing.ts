import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { DriverError } from '../errors/driver-error.js'
import type { S3Bucket, S3Object, S3Part } from './s3-bucket.js'
import { isMissing } from './s3-error.js'

/** The least that a store takes as a part that is not the last one. */
export const MIN_PART_BYTES = 5 * 1024 * 1024

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

/** The parts that were acknowledged. Throws what the store says, or `failed` when they are others by now. */
export async function acknowledgedParts (bucket: S3Bucket, path: string, { upload, count, bytes, hash }: Growing): Promise<S3Part[]> {
  const parts = (await bucket.parts(bucket.key(path), upload)).slice(0, count)
  if (parts.length !== count || bytesOf(parts) !== bytes || hashOf(parts) !== hash) {
    throw new DriverError('failed', { driver: 's3', path, detail: 'the parts of the upload are not those that were acknowledged' })
  }
  return parts
}

/**
 * Makes one object of a growing file, in its place: its parts and what comes after them. Says what it is then, also
 * when somebody else was faster.
 */
export async function complete (bucket: S3Bucket, path: string, growing: Growing): Promise<S3Object> {
  const key = bucket.key(path)
  try {
    const parts = await acknowledgedParts(bucket, path, growing)
    const rest = await bucket.get(key)
    if (growingOf(rest)?.upload !== growing.upload) rest.body.destroy()
    else {
      const bytes = await buffer(rest.body)
      if (bytes.length > 0) parts.push(await bucket.uploadPart(key, growing.upload, parts.length + 1, bytes))
      await bucket.completeUpload(key, growing.upload, parts)
    }
  } catch (error) {
    // Completed by somebody else, or by an attempt of ours whose answer was lost.
    if (!isMissing(error)) throw error
  }
  const found = await bucket.head(key)
  if (found !== undefined && growingOf(found) === undefined) return found
  throw new DriverError('path-not-found', { driver: 's3', path, detail: 'the parts of the upload are gone' })
}

/** Over etags without quotes: stores differ in where they put them. */
function hashOf (parts: readonly S3Part[]): string {
  return createHash('sha256').update(parts.map(({ number, etag, size }) => `${number} ${etag.replaceAll('"', '')} ${size}`).join('\n')).digest('hex')
}
