import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ConfigError } from '../errors/config-error.js'
import { DriverError } from '../errors/driver-error.js'
import { concurrently } from '../registry/concurrently.js'
import type { ByteRange, FileInfo, FileWriter, MoveOptions, StorageDriver } from './driver.js'
import { S3Bucket } from './s3-bucket.js'
import type { S3Body, S3Object } from './s3-bucket.js'
import { MAX_PART_BYTES, MIN_PART_BYTES, copyObject } from './s3-copy.js'
import type { CopySettings } from './s3-copy.js'
import { codeOf, explainS3, isMissing, s3Error } from './s3-error.js'
import { complete, growingOf, versionOf } from './s3-growing.js'
import { loadS3Sdk } from './s3-sdk.js'
import { s3Location } from './s3-settings.js'
import type { S3Options } from './s3-settings.js'
import { S3Slots } from './s3-slots.js'
import { S3Stream } from './s3-stream.js'
import { S3Writer } from './s3-writer.js'

/** Parts of all uploads that are under way at a time: what bounds memory, together with the part that each one gathers. */
const PARTS_IN_FLIGHT = 8

/**
 * The layout of docker's registry in a bucket: `<rootdirectory>/docker/registry/v2/…`. Directories are what keys begin
 * with, so a name can be both a file and a directory; nothing in the layout is. `move` copies and then deletes: the
 * target appears at once, the source is gone a little later, also after a crash in between.
 */
export class S3Driver implements StorageDriver {
  readonly name = 's3'
  readonly redirects = true
  readonly #bucket: S3Bucket
  readonly #partBytes: number
  readonly #copy: CopySettings
  readonly #slots = new S3Slots(PARTS_IN_FLIGHT)

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
    this.#bucket = bucket
    this.#partBytes = chunksize
    this.#copy = { threshold: multipartcopythresholdsize, partBytes: Math.min(multipartcopychunksize, MAX_PART_BYTES - MIN_PART_BYTES), concurrency: multipartcopymaxconcurrency }
  }

  async read (path: string, { maxBytes = Infinity }: { readonly maxBytes?: number } = {}): Promise<Buffer> {
    return await this.#run(path, async () => {
      const found = await this.#get(path)
      if (found === undefined) return Buffer.alloc(0)
      if (found.size > maxBytes) {
        found.body.destroy()
        throw this.#error('too-large', path, `longer than ${maxBytes} bytes`)
      }
      return await buffer(this.#stream(path, found, 0))
    })
  }

  async write (path: string, content: Uint8Array): Promise<void> {
    // A copy: the SDK reads it when it sends, and again when it tries again.
    await this.#run(path, () => this.#bucket.put(this.#key(path), Buffer.from(content)))
  }

  async createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    return await this.#run(path, async () => {
      const found = await this.#get(path, range)
      return found === undefined ? Readable.from([], { objectMode: false }) : this.#stream(path, found, range?.start ?? 0)
    })
  }

  async openWriter (path: string, { append = false }: { readonly append?: boolean } = {}): Promise<FileWriter> {
    return await this.#run(path, async () => {
      const key = this.#key(path)
      const found: S3Object | undefined = append
        ? await this.#bucket.head(key)
        : { size: 0, etag: await this.#bucket.put(key, Buffer.alloc(0)), modified: new Date(0), metadata: {} }
      if (found === undefined) throw await this.#missing(path)
      return new S3Writer({ bucket: this.#bucket, path, partBytes: this.#partBytes, copy: this.#copy, slots: this.#slots }, found)
    })
  }

  async stat (path: string): Promise<FileInfo> {
    return await this.#run(path, async () => {
      const found = path === '/' ? undefined : await this.#bucket.head(this.#key(path))
      if (found !== undefined) return { path, size: found.size + (growingOf(found)?.bytes ?? 0), isDirectory: false, modified: found.modified, version: versionOf(found) }
      // Also of the root, which always exists: whoever asks wants to know whether the store answers.
      if (!await this.#bucket.holds(this.#below(path)) && path !== '/') throw this.#error('path-not-found', path)
      return { path, size: 0, isDirectory: true, modified: new Date(0) }
    })
  }

  async list (path: string): Promise<string[]> {
    return await this.#run(path, async () => {
      const prefix = this.#below(path)
      const names = new Set<string>()
      for await (const { keys, directories } of this.#bucket.list(prefix, { direct: true })) {
        for (const key of keys) names.add(key.slice(prefix.length))
        for (const directory of directories) names.add(directory.slice(prefix.length, -1))
      }
      names.delete('') // what consoles make to show a directory
      if (names.size === 0 && path !== '/') throw this.#error('path-not-found', path)
      return [...names].sort()
    })
  }

  async move (from: string, to: string, { version }: MoveOptions = {}): Promise<void> {
    await this.#run(from, async () => {
      const found = await this.#bucket.head(this.#key(from))
      if (found === undefined) await this.#moveDirectory(from, to)
      else await this.#moveFile(from, to, found, version)
    })
  }

  async delete (path: string): Promise<void> {
    await this.#run(path, async () => {
      const key = this.#key(path)
      const [file, below, uploads] = await Promise.all([this.#bucket.head(key), this.#keysBelow(path), this.#bucket.uploads(key)])
      // First: an upload whose file is gone would never be found again.
      const ended = uploads.filter(upload => upload.key === key || upload.key.startsWith(this.#below(path)))
      for (const upload of ended) await this.#bucket.abortUpload(upload.key, upload.upload)
      if (file === undefined && below.length === 0 && ended.length === 0) throw this.#error('path-not-found', path)
      await this.#bucket.delete(file === undefined ? below : [key, ...below])
    })
  }

  async redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string> {
    return await this.#run(path, () => this.#bucket.signedUrl(this.#key(path), method))
  }

  async close (): Promise<void> {
    this.#bucket.close()
  }

  #key (path: string): string {
    return this.#bucket.key(path)
  }

  #below (path: string): string {
    return path === '/' ? this.#key('/') : `${this.#key(path)}/`
  }

  async #keysBelow (path: string): Promise<string[]> {
    const found: string[] = []
    for await (const { keys } of this.#bucket.list(this.#below(path))) found.push(...keys)
    return found
  }

  /** Undefined when the range begins at or after the end. */
  async #get (path: string, range?: ByteRange): Promise<S3Body | undefined> {
    const bytes = range === undefined ? undefined : `bytes=${range.start}-${range.end}`
    const found = await this.#orWhy(path, () => this.#bucket.get(this.#key(path), { range: bytes }))
    const growing = found === undefined ? await this.#bucket.head(this.#key(path)).then(object => object && growingOf(object)) : growingOf(found)
    if (growing === undefined) return found
    found?.body.destroy()
    await complete(this.#bucket, path, growing, this.#copy)
    return await this.#orWhy(path, () => this.#bucket.get(this.#key(path), { range: bytes }))
  }

  async #orWhy (path: string, get: () => Promise<S3Body>): Promise<S3Body | undefined> {
    try {
      return await get()
    } catch (error) {
      if (codeOf(error) === 'InvalidRange') return undefined
      throw isMissing(error) ? await this.#missing(path) : error
    }
  }

  #stream (path: string, { body, size, etag }: S3Body, start: number): Readable {
    return new S3Stream({
      body,
      length: size,
      reopen: async (skipped, signal) => {
        const range = `bytes=${start + skipped}-${start + size - 1}`
        return (await this.#bucket.get(this.#key(path), { range, etag, signal })).body
      },
      wrap: error => s3Error(path, error)
    })
  }

  async #moveFile (from: string, to: string, found: S3Object, version?: string): Promise<void> {
    const growing = growingOf(found)
    if (version !== undefined && version !== versionOf(found)) throw this.#error('changed', from)
    const { size, etag, isOurs } = growing === undefined ? { ...found, isOurs: true } : await complete(this.#bucket, from, growing, this.#copy, version === undefined ? undefined : found.etag)
    if (version !== undefined && !isOurs) throw this.#error('changed', from)
    if (from === to) return
    await copyObject(this.#bucket, { key: this.#key(from), etag, size }, this.#key(to), this.#copy)
    await this.#bucket.delete([this.#key(from)])
  }

  async #moveDirectory (from: string, to: string): Promise<void> {
    const below = this.#below(from)
    const paths = (await this.#keysBelow(from)).map(key => key.slice(below.length))
    if (paths.length === 0) throw this.#error('path-not-found', from)
    if (to === from) return
    if (to.startsWith(`${from}/`)) throw this.#error('failed', from, 'cannot be moved below itself')
    await concurrently(paths, async path => {
      const found = await this.#bucket.head(`${below}${path}`)
      if (found !== undefined) await this.#moveFile(`${from}/${path}`, `${to}/${path}`, found)
    })
  }

  /** What it means that there is no object: nothing at all, or a directory. */
  async #missing (path: string): Promise<DriverError> {
    return await this.#bucket.holds(this.#below(path)) ? this.#error('failed', path, 'is a directory') : this.#error('path-not-found', path)
  }

  #error (kind: 'path-not-found' | 'too-large' | 'changed' | 'failed', path: string, detail?: string): DriverError {
    return new DriverError(kind, { driver: this.name, path, ...detail === undefined ? {} : { detail } })
  }

  async #run<T> (path: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      throw s3Error(path, error)
    }
  }
}
