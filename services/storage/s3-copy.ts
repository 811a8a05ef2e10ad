import { concurrently } from '../registry/concurrently.js'
import type { S3Bucket, S3Part } from './s3-bucket.js'

/** The least that a store takes as a part that is not the last one. */
export const MIN_PART_BYTES = 5 * 1024 * 1024
/** The most that a store copies as one part. */
export const MAX_PART_BYTES = 1024 * MIN_PART_BYTES

/** Below this it makes no difference worth trying how it is copied. */
const MIN_TRIAL_BYTES = 32 * 1024 * 1024
/** A trial with more could take long where bytes are copied. */
const MAX_TRIAL_BYTES = 256 * 1024 * 1024
/** No store copies bytes as fast as this: it made a reference. */
const REFERENCE_BYTES_PER_MS = 1_000_000
/** After how long it is tried again. */
const TRIAL_MS = 600_000

export interface CopySettings {
  /** Bytes above which a copy is made in parts, unless whole objects are copied at once. */
  readonly threshold: number
  readonly partBytes: number
  readonly concurrency: number
  readonly whole: WholeCopies
}

/**
 * Whether the store copies a whole object by making a reference, as Ceph does: then even large ones are there at once,
 * while parts of them would be copied byte by byte. Found out by trying, now and then.
 */
export class WholeCopies {
  #areReferences = false
  #nextTrial = 0

  /** Whether a copy of so many bytes should be made whole, although it is large. */
  isWorth (bytes: number): boolean {
    if (bytes < MIN_TRIAL_BYTES || bytes > MAX_PART_BYTES) return false
    return this.#areReferences || (bytes <= MAX_TRIAL_BYTES && performance.now() >= this.#nextTrial)
  }

  took (bytes: number, ms: number): void {
    this.#areReferences = bytes / ms >= REFERENCE_BYTES_PER_MS
    this.#nextTrial = performance.now() + TRIAL_MS
  }
}

export interface CopySource { readonly key: string, readonly etag: string, readonly size: number }

/** Copies within the store, in parallel parts where it is large. The copy appears at once, when all of it is there. */
export async function copyObject (bucket: S3Bucket, source: CopySource, key: string, settings: CopySettings): Promise<void> {
  const { threshold, whole } = settings
  if (source.size === 0 || source.size <= threshold) return await bucket.copy(source.key, key, source.etag)
  if (whole.isWorth(source.size) && await isCopiedWhole(bucket, source, key, whole)) return
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

/** False where the store does not do it, or not in time: in parts it may. */
async function isCopiedWhole (bucket: S3Bucket, { key, etag, size }: CopySource, to: string, whole: WholeCopies): Promise<boolean> {
  const began = performance.now()
  try {
    await bucket.copy(key, to, etag)
    whole.took(size, performance.now() - began)
    return true
  } catch {
    whole.took(size, Infinity)
    return false
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
