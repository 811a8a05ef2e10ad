import type { Readable } from 'node:stream'
import type { CompletedPart, S3Client } from '@aws-sdk/client-s3'
import { isMissing } from './s3-error.js'
import type { S3Sdk } from './s3-sdk.js'
import { isSecure, s3ClientConfig, s3ObjectSettings } from './s3-settings.js'
import type { S3ObjectSettings, S3Options } from './s3-settings.js'

export interface S3Part { readonly number: number, readonly etag: string, readonly size: number }
export interface S3Object { readonly size: number, readonly etag: string, readonly modified: Date, readonly metadata: Readonly<Record<string, string>> }
export interface S3Body extends S3Object { readonly body: Readable }
export interface S3Upload { readonly key: string, readonly upload: string, readonly began: Date }
export interface S3Page { readonly keys: string[], readonly directories: string[] }

const URL_SECONDS = 20 * 60
const MAX_DELETED = 1000

/**
 * The requests to one bucket, in terms of keys. Everything that a request answers with and nobody needs stays here;
 * errors are those of the SDK.
 */
export class S3Bucket {
  readonly #sdk: S3Sdk
  readonly #client: S3Client
  /** For requests whose answer is a document, and which are not many. */
  readonly #documents: S3Client
  readonly #bucket: string
  readonly #prefix: string
  readonly #settings: S3ObjectSettings

  constructor (sdk: S3Sdk, options: S3Options) {
    this.#sdk = sdk
    this.#client = new sdk.S3Client(s3ClientConfig(options))
    this.#documents = isSecure(options) ? this.#client : new sdk.S3Client(s3ClientConfig(options, { keepAlive: false }))
    this.#bucket = options.bucket
    this.#prefix = (options.rootdirectory ?? '').replace(/^\/+|\/+$/g, '')
    this.#settings = s3ObjectSettings(options)
  }

  /** `/docker/registry` below a root directory `data` is `data/docker/registry`, as docker's registry has it; `/` is `data/`. */
  key (path: string): string {
    return `${this.#prefix}${path}`.replace(/^\/+/, '')
  }

  close (): void {
    this.#client.destroy()
    this.#documents.destroy()
  }

  async put (key: string, body: Uint8Array, metadata?: Readonly<Record<string, string>>): Promise<string> {
    const { ETag = '' } = await this.#client.send(new this.#sdk.PutObjectCommand({
      ...this.#at(key), ...this.#settings, Body: body, ContentLength: body.byteLength, ...metadata === undefined ? {} : { Metadata: { ...metadata } }
    }))
    return ETag
  }

  async head (key: string): Promise<S3Object | undefined> {
    try {
      return object(await this.#client.send(new this.#sdk.HeadObjectCommand(this.#at(key))))
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** The range as HTTP has it: `bytes=0-9`. With an etag, only if the object still is that one. */
  async get (key: string, { range, etag, signal }: { readonly range?: string | undefined, readonly etag?: string | undefined, readonly signal?: AbortSignal | undefined } = {}): Promise<S3Body> {
    const answer = await this.#client.send(
      new this.#sdk.GetObjectCommand({ ...this.#at(key), Range: range, IfMatch: etag }),
      signal === undefined ? {} : { abortSignal: signal }
    )
    // In Node the body is always one of its streams.
    return { ...object(answer), body: answer.Body as Readable }
  }

  /** Keys below `prefix`, page by page; with `direct` those of the same directory, and the names of its directories. */
  async * list (prefix: string, { direct = false }: { readonly direct?: boolean } = {}): AsyncGenerator<S3Page> {
    let token: string | undefined
    do {
      const page = await this.#documents.send(new this.#sdk.ListObjectsV2Command({
        Bucket: this.#bucket, Prefix: prefix, ContinuationToken: token, ...direct ? { Delimiter: '/' } : {}
      }))
      yield {
        keys: (page.Contents ?? []).map(({ Key = '' }) => Key),
        directories: (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix)
      }
      token = page.NextContinuationToken
    } while (token !== undefined)
  }

  /** Whether anything lies below `prefix`. */
  async holds (prefix: string): Promise<boolean> {
    const { Contents = [] } = await this.#documents.send(new this.#sdk.ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, MaxKeys: 1 }))
    return Contents.length > 0
  }

  async delete (keys: readonly string[]): Promise<void> {
    const [first] = keys
    if (first === undefined) return
    if (keys.length === 1) {
      await this.#client.send(new this.#sdk.DeleteObjectCommand(this.#at(first)))
      return
    }
    for (let from = 0; from < keys.length; from += MAX_DELETED) {
      const Objects = keys.slice(from, from + MAX_DELETED).map(Key => ({ Key }))
      const { Errors: [failed] = [] } = await this.#documents.send(new this.#sdk.DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } }))
      if (failed !== undefined) throw Object.assign(new Error(failed.Message ?? `cannot delete ${String(failed.Key)}`), { name: failed.Code ?? 'Error' })
    }
  }

  async copy (from: string, to: string, etag: string): Promise<void> {
    await this.#documents.send(new this.#sdk.CopyObjectCommand({ ...this.#at(to), ...this.#settings, CopySource: this.#source(from), CopySourceIfMatch: etag }))
  }

  async createUpload (key: string): Promise<string> {
    const { UploadId } = await this.#documents.send(new this.#sdk.CreateMultipartUploadCommand({ ...this.#at(key), ...this.#settings }))
    if (UploadId === undefined) throw new Error('the store gave no upload id')
    return UploadId
  }

  async uploadPart (key: string, upload: string, number: number, body: Uint8Array): Promise<S3Part> {
    const { ETag = '' } = await this.#client.send(new this.#sdk.UploadPartCommand({
      ...this.#at(key), UploadId: upload, PartNumber: number, Body: body, ContentLength: body.byteLength
    }))
    return { number, etag: ETag, size: body.byteLength }
  }

  /** Both positions are included. */
  async copyPart (source: { readonly key: string, readonly etag: string, readonly start: number, readonly end: number }, key: string, upload: string, number: number): Promise<S3Part> {
    const { start, end } = source
    const { CopyPartResult } = await this.#documents.send(new this.#sdk.UploadPartCopyCommand({
      ...this.#at(key), UploadId: upload, PartNumber: number, CopySource: this.#source(source.key), CopySourceIfMatch: source.etag, CopySourceRange: `bytes=${start}-${end}`
    }))
    return { number, etag: CopyPartResult?.ETag ?? '', size: end - start + 1 }
  }

  /** The parts of an unfinished upload, in order. */
  async parts (key: string, upload: string): Promise<S3Part[]> {
    const found: S3Part[] = []
    let marker: string | undefined
    do {
      const page = await this.#documents.send(new this.#sdk.ListPartsCommand({ ...this.#at(key), UploadId: upload, PartNumberMarker: marker }))
      for (const { PartNumber = 0, ETag = '', Size = 0 } of page.Parts ?? []) found.push({ number: PartNumber, etag: ETag, size: Size })
      marker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined
    } while (marker !== undefined)
    return found
  }

  async completeUpload (key: string, upload: string, parts: readonly S3Part[]): Promise<string> {
    const Parts: CompletedPart[] = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }))
    const { ETag = '' } = await this.#documents.send(new this.#sdk.CompleteMultipartUploadCommand({ ...this.#at(key), UploadId: upload, MultipartUpload: { Parts } }))
    return ETag
  }

  async abortUpload (key: string, upload: string): Promise<void> {
    await this.#client.send(new this.#sdk.AbortMultipartUploadCommand({ ...this.#at(key), UploadId: upload })).catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
  }

  /** The unfinished uploads to keys that begin with `prefix`. */
  async uploads (prefix: string): Promise<S3Upload[]> {
    const found: S3Upload[] = []
    let at: { KeyMarker: string | undefined, UploadIdMarker: string | undefined } | undefined
    do {
      const page = await this.#documents.send(new this.#sdk.ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix, ...at }))
      for (const { Key = '', UploadId = '', Initiated = new Date(0) } of page.Uploads ?? []) found.push({ key: Key, upload: UploadId, began: Initiated })
      at = page.IsTruncated === true ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined
    } while (at !== undefined)
    return found
  }

  /** A URL that is good for 20 minutes, as docker's registry gives it. */
  async signedUrl (key: string, method: 'GET' | 'HEAD'): Promise<string> {
    const command = method === 'GET' ? new this.#sdk.GetObjectCommand(this.#at(key)) : new this.#sdk.HeadObjectCommand(this.#at(key))
    return await this.#sdk.getSignedUrl(this.#client, command, { expiresIn: URL_SECONDS })
  }

  #at (key: string): { Bucket: string, Key: string } {
    return { Bucket: this.#bucket, Key: key }
  }

  #source (key: string): string {
    return [this.#bucket, ...key.split('/')].map(encodeURIComponent).join('/')
  }
}

interface Answer { ContentLength?: number | undefined, ETag?: string | undefined, LastModified?: Date | undefined, Metadata?: Record<string, string> | undefined }

function object ({ ContentLength = 0, ETag = '', LastModified = new Date(0), Metadata = {} }: Answer): S3Object {
  return { size: ContentLength, etag: ETag, modified: LastModified, metadata: Metadata }
}
