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

/** Names all bytes of a file, those in the parts too. */
export function versionOf (object: Pick<S3Object, 'etag' | 'metadata'>): string {
  return `${bare(object.etag)} ${object.metadata[NAMES.hash] ?? ''}`.trimEnd()
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
 * when somebody else was faster: then not `isOurs`, and nobody here knows what its bytes are. With an etag, only if what
 * comes after the parts still is that object.
 */
export async function complete (bucket: S3Bucket, path: string, growing: Growing, copy: CopySettings, etag?: string): Promise<S3Object & { readonly isOurs: boolean }> {
  const key = bucket.key(path)
  const made = new Set<string>()
  try {
    const [parts, rest] = await Promise.all([partsOf(bucket, path, growing), restOf(bucket, key, growing, etag)])
    if (rest !== undefined) await join(bucket, key, growing, { parts, rest, copy, made })
  } catch (error) {
    // Completed by somebody else, or by an attempt of ours whose answer was lost.
    if (!isMissing(error)) throw error
  }
  const found = await bucket.head(key)
  if (found !== undefined && growingOf(found) === undefined) return { ...found, isOurs: made.has(bare(found.etag)) }
  throw new DriverError('path-not-found', { driver: 's3', path, detail: 'the parts of the upload are gone' })
}

/** What comes after the parts; undefined when something else lies there by now. */
async function restOf (bucket: S3Bucket, key: string, { upload }: Growing, etag: string | undefined): Promise<Buffer | undefined> {
  const found = await bucket.get(key, { etag })
  if (growingOf(found)?.upload === upload) return await buffer(found.body)
  found.body.destroy()
  return undefined
}

interface Joined { readonly parts: S3Part[], readonly rest: Buffer, readonly copy: CopySettings, readonly made: Set<string> }

/** Notes in `made` what the object's etag can be. */
async function join (bucket: S3Bucket, key: string, { upload, count, bytes }: Growing, { parts, rest, copy, made }: Joined): Promise<void> {
  const completeWith = async (upload: string, parts: readonly S3Part[]): Promise<void> => {
    // The answer may be lost, and that of Ceph has no etag.
    made.add(etagOf(parts))
    made.add(bare(await bucket.completeUpload(key, upload, parts)))
  }
  const hasRest = rest.length > 0
  if (parts.length <= count + Number(hasRest)) {
    const last = hasRest ? [await bucket.uploadPart(key, upload, count + 1, rest)] : []
    await completeWith(upload, [...parts.slice(0, count), ...last])
    return
  }
  // Parts that were never acknowledged follow. S3 would leave them out, Ceph refuses: so all of them become an object,
  // and what counts is copied from that.
  const size = bytesOf(parts)
  const etag = await bucket.completeUpload(key, upload, parts)
  const again = await bucket.createUpload(key)
  const copied = await copyParts(bucket, { key, etag, size, end: bytes }, { key, upload: again }, copy)
  const last = hasRest ? [await bucket.uploadPart(key, again, copied.length + 1, rest)] : []
  await completeWith(again, [...copied, ...last])
}

/** Of an object made of these parts, in every store that does not encrypt with keys of its own. */
function etagOf (parts: readonly S3Part[]): string {
  const digests = Buffer.concat(parts.map(({ etag }) => Buffer.from(bare(etag), 'hex')))
  return `${createHash('md5').update(digests).digest('hex')}-${parts.length}`
}

function bare (etag: string): string {
  return etag.replaceAll('"', '')
}

/** Over etags without quotes: stores differ in where they put them. */
function hashOf (parts: readonly S3Part[]): string {
  return createHash('sha256').update(parts.map(({ number, etag, size }) => `${number} ${bare(etag)} ${size}`).join('\n')).digest('hex')
}
