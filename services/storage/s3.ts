import { ConfigError } from '../errors/config-error.js'
import { DriverError } from '../errors/driver-error.js'
import { concurrently } from '../registry/concurrently.js'
import type { ByteRange, FileWriter } from './driver.js'
import { FlatDriver } from './flat-driver.js'
import type { StoredBody, StoredObject } from './flat-store.js'
import { PartMemory } from './part-memory.js'
import { S3Bucket } from './s3-bucket.js'
import type { S3Upload } from './s3-bucket.js'
import { MAX_PART_BYTES, MIN_PART_BYTES, WholeCopies, copyObject } from './s3-copy.js'
import type { CopySettings, CopySource } from './s3-copy.js'
import { codeOf, explainS3, isMissing, s3Error } from './s3-error.js'
import { KnownParts, complete, growingOf, versionOf } from './s3-growing.js'
import type { S3File } from './s3-growing.js'
import { loadS3Sdk } from './s3-sdk.js'
import { s3Location } from './s3-settings.js'
import type { S3Options } from './s3-settings.js'
import { S3Writer } from './s3-writer.js'

/** Longer than any copy within the store takes. */
const MAX_COPY_MS = 86_400_000

/** A bucket of S3. A file that grows is an object and the parts of a multipart upload: see `s3-growing.ts`. */
export class S3Driver extends FlatDriver {
  readonly name = 's3'
  readonly #bucket: S3Bucket
  readonly #copy: CopySettings
  readonly #memory: PartMemory
  readonly #known = new KnownParts()

  /** @throws {ConfigError} when the SDK is not installed, or the bucket cannot be listed */
  static async open (options: S3Options): Promise<S3Driver> {
    const bucket = new S3Bucket(await loadS3Sdk(), options)
    try {
      await bucket.holds(bucket.key('/'))
    } catch (error) {
      bucket.close()
      throw new ConfigError(`storage.s3: cannot use ${s3Location(options)}: ${explainS3(error)}`, { cause: s3Error('/', error) })
    }
    return new S3Driver(bucket, options)
  }

  private constructor (bucket: S3Bucket, { chunksize, multipartcopychunksize, multipartcopymaxconcurrency, multipartcopythresholdsize }: S3Options) {
    super(bucket)
    this.#bucket = bucket
    this.#memory = new PartMemory({ partBytes: chunksize })
    this.#copy = { threshold: multipartcopythresholdsize, partBytes: Math.min(multipartcopychunksize, MAX_PART_BYTES - MIN_PART_BYTES), concurrency: multipartcopymaxconcurrency, whole: new WholeCopies() }
  }

  protected override writer (path: string, found: StoredObject): FileWriter {
    return new S3Writer({ ...this.#file(path), memory: this.#memory }, found)
  }

  protected override async copy (source: CopySource, key: string): Promise<void> {
    await copyObject(this.#bucket, source, key, this.#copy)
  }

  protected override wrap (path: string, error: unknown): DriverError {
    return s3Error(path, error)
  }

  protected override isMissing (error: unknown): boolean {
    return isMissing(error)
  }

  protected override isPastEnd (error: unknown): boolean {
    return codeOf(error) === 'InvalidRange'
  }

  protected override sizeOf (found: StoredObject): number {
    return found.size + (growingOf(found)?.bytes ?? 0)
  }

  protected override versionOf (found: StoredObject): string {
    return versionOf(found)
  }

  protected override async endUnfinished (key: string, prefix: string): Promise<number> {
    const found = (await this.#bucket.uploads(key)).filter(upload => upload.key === key || upload.key.startsWith(prefix))
    const uploads = (await concurrently(found, async upload => await this.#isOver(upload) ? [upload] : [])).flat()
    for (const upload of uploads) await this.#bucket.abortUpload(upload.key, upload.upload)
    return uploads.length
  }

  protected override async get (path: string, range?: ByteRange): Promise<StoredBody | undefined> {
    const found = await super.get(path, range)
    const growing = found === undefined ? await this.#bucket.head(this.#bucket.key(path)).then(object => object && growingOf(object)) : growingOf(found)
    if (growing === undefined) return found
    found?.body.destroy()
    await complete(this.#file(path), growing)
    return await super.get(path, range)
  }

  protected override async moveFile (from: string, to: string, found: StoredObject, { isExact }: { readonly isExact: boolean }): Promise<void> {
    const growing = growingOf(found)
    if (growing === undefined) return await super.moveFile(from, to, found)
    const { isOurs, ...made } = await complete(this.#file(from), growing, { etag: isExact ? found.etag : undefined, hasRest: found.size > 0 })
    if (isExact && !isOurs) throw new DriverError('changed', { driver: this.name, path: from })
    await super.moveFile(from, to, made)
  }

  #file (path: string): S3File {
    return { bucket: this.#bucket, path, copy: this.#copy, known: this.#known }
  }

  /**
   * Whether an upload belongs to a file that is deleted, and not to a copy that somebody else makes to the same place
   * just now. A growing file lies in its place from its beginning, empty or with what comes after the parts.
   */
  async #isOver ({ key, began }: S3Upload): Promise<boolean> {
    if (began.getTime() < Date.now() - MAX_COPY_MS) return true
    const file = await this.#bucket.head(key)
    return file !== undefined && (file.size === 0 || growingOf(file) !== undefined)
  }
}
