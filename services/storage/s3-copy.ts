import { concurrently } from '../registry/concurrently.js'
import type { S3Bucket, S3Part } from './s3-bucket.js'

/** The least that a store takes as a part that is not the last one. */
export const MIN_PART_BYTES = 5 * 1024 * 1024
/** The most that a store copies as one part. */
export const MAX_PART_BYTES = 1024 * MIN_PART_BYTES

export interface CopySettings {
  /** Bytes above which a copy is made in parts. */
  readonly threshold: number
  readonly partBytes: number
  readonly concurrency: number
}

export interface CopySource { readonly key: string, readonly etag: string, readonly size: number }

/** Copies within the store, in parallel parts where it is large. The copy appears at once, when all of it is there. */
export async function copyObject (bucket: S3Bucket, source: CopySource, key: string, settings: CopySettings): Promise<void> {
  if (source.size === 0 || source.size <= settings.threshold) return await bucket.copy(source.key, key, source.etag)
  const upload = await bucket.createUpload(key)
  try {
    const parts = await copyParts(bucket, { ...source, end: source.size }, { key, upload }, settings)
    await bucket.completeUpload(key, upload, parts)
  } catch (error) {
    // The first error is the one to tell.
    await bucket.abortUpload(key, upload).catch(() => {})
    throw error
  }
}

/** Copies the bytes before `end` as the first parts of an upload, to which more can be added when they are enough for a part. */
export async function copyParts (bucket: S3Bucket, source: CopySource & { readonly end: number }, target: { readonly key: string, readonly upload: string }, { partBytes, concurrency }: CopySettings): Promise<S3Part[]> {
  // The last part takes what is not enough for one of its own.
  const count = Math.max(1, Math.floor(source.end / partBytes) + Number(source.end % partBytes >= MIN_PART_BYTES))
  return await concurrently(Array.from({ length: count }, (_, i) => i), async i => {
    const end = i === count - 1 ? source.end : (i + 1) * partBytes
    return await bucket.copyPart({ ...source, start: i * partBytes, end: end - 1 }, target.key, target.upload, i + 1)
  }, concurrency)
}
