import { concurrently } from '../registry/concurrently.js'
import type { S3Bucket, S3Part } from './s3-bucket.js'

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

/** Copies the bytes before `end` as the first parts of an upload. */
export async function copyParts (bucket: S3Bucket, source: CopySource & { readonly end: number }, target: { readonly key: string, readonly upload: string }, { partBytes, concurrency }: CopySettings): Promise<S3Part[]> {
  const starts = Array.from({ length: Math.ceil(source.end / partBytes) }, (_, i) => i * partBytes)
  return await concurrently(starts, async start => {
    const end = Math.min(start + partBytes, source.end) - 1
    return await bucket.copyPart({ ...source, start, end }, target.key, target.upload, start / partBytes + 1)
  }, concurrency)
}
