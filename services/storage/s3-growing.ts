import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { LRUCache } from 'lru-cache'
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

/** Parts of all uploads that are remembered. */
const MAX_KNOWN = 50_000
/** The part that holds what comes after the others: the last one there can be, so that it is behind whatever was sent. It must not replace one that was acknowledged. */
const REST_NUMBER = 10_000
const NOTHING = Buffer.alloc(0)
const NAMES = { upload: 'oci-upload', count: 'oci-parts', bytes: 'oci-bytes', hash: 'oci-hash' } as const

export function growingMetadata (upload: string, parts: readonly S3Part[]): Record<string, string> {
  return { [NAMES.upload]: upload, [NAMES.count]: String(parts.length), [NAMES.bytes]: String(bytesOf(parts)), [NAMES.hash]: hashOf(parts) }
}

/** Parts that this process acknowledged, under their hash, so that the store need not be asked for them. */
export class KnownParts extends LRUCache<string, readonly S3Part[]> {
  constructor () {
    super({ maxSize: MAX_KNOWN, sizeCalculation: parts => parts.length + 1 })
  }
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

/** What works on a growing file needs. */
export interface S3File {
  readonly bucket: S3Bucket
  readonly path: string
  readonly copy: CopySettings
  readonly known: KnownParts
}

/** What lies in the place of a file that was completed. Unless it `isOurs`, nobody here knows what its bytes are. */
export interface Completed extends S3Object { readonly isOurs: boolean }

export interface CompleteOptions {
  /** Only if what comes after the parts still is the object of this etag. */
  readonly etag?: string | undefined
  /** False when nothing comes after the parts. */
  readonly hasRest?: boolean
}

/** Makes one object of a growing file, in its place: its parts and what comes after them. Somebody else may be faster. */
export async function complete (file: S3File, growing: Growing, { etag, hasRest = true }: CompleteOptions = {}): Promise<Completed> {
  const { bucket, path, known } = file
  try {
    const [parts, rest] = await Promise.all([known.get(growing.hash) ?? partsOf(bucket, path, growing), hasRest ? restOf(file, growing, etag) : NOTHING])
    return await (rest === undefined ? lies(file) : join(file, growing, parts, rest))
  } catch (error) {
    // The store may have others by now, or more of them: it is asked.
    if (known.delete(growing.hash) && !isMissing(error)) return await complete(file, growing, { etag, hasRest })
    // Completed by somebody else.
    if (isMissing(error)) return await lies(file)
    throw error
  }
}

/** Makes one object of all the parts of an upload, in its place. */
export async function completeUpload (file: S3File, upload: string, parts: readonly S3Part[]): Promise<Completed> {
  const { bucket, path } = file
  const etag = etagOf(parts)
  const answer = await bucket.completeUpload(bucket.key(path), upload, parts).catch((error: unknown) => {
    // By an attempt of ours whose answer was lost, or by somebody else.
    if (isMissing(error)) return ''
    throw error
  })
  // That of Ceph has another etag than the object.
  return bare(answer) === etag ? { size: bytesOf(parts), etag: answer, modified: new Date(0), metadata: {}, isOurs: true } : await lies(file, [etag, bare(answer)])
}

/** What lies in the file's place, which is not growing any more: ours if it has one of the etags. */
async function lies ({ bucket, path }: S3File, etags: readonly string[] = []): Promise<Completed> {
  const found = await bucket.head(bucket.key(path))
  if (found !== undefined && growingOf(found) === undefined) return { ...found, isOurs: etags.includes(bare(found.etag)) }
  throw new DriverError('path-not-found', { driver: 's3', path, detail: 'the parts of the upload are gone' })
}

/** What comes after the parts; undefined when something else lies there by now. */
async function restOf ({ bucket, path }: S3File, { upload }: Growing, etag: string | undefined): Promise<Buffer | undefined> {
  const found = await bucket.get(bucket.key(path), { etag })
  if (growingOf(found)?.upload === upload) return await buffer(found.body)
  found.body.destroy()
  return undefined
}

async function join (file: S3File, { upload, count, bytes }: Growing, parts: readonly S3Part[], rest: Buffer): Promise<Completed> {
  const { bucket, path, copy } = file
  const key = bucket.key(path)
  const hasRest = rest.length > 0
  if (parts.length <= count + Number(hasRest)) {
    const last = hasRest ? [await bucket.uploadPart(key, upload, Math.max(REST_NUMBER, count + 1), rest)] : []
    return await completeUpload(file, upload, [...parts.slice(0, count), ...last])
  }
  // Parts that were never acknowledged follow. S3 would leave them out, Ceph refuses: so all of them become an object,
  // and what counts is copied from that.
  const size = bytesOf(parts)
  const etag = await bucket.completeUpload(key, upload, parts)
  const again = await bucket.createUpload(key)
  const copied = await copyParts(bucket, { key, etag, size, end: bytes }, { key, upload: again }, copy)
  const last = hasRest ? [await bucket.uploadPart(key, again, copied.length + 1, rest)] : []
  return await completeUpload(file, again, [...copied, ...last])
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
