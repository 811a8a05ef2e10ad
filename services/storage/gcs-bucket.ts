import { randomUUID } from 'node:crypto'
import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
import { concurrently } from '../registry/concurrently.js'
import type { FlatStore, StoredBody, StoredObject, StoredPage } from './flat-store.js'
import type { GcsAccess } from './gcs-access.js'
import { GcsRefusal, isMissing, isTransient, refusal } from './gcs-error.js'
import type { GcsOptions } from './gcs-settings.js'
import { MARK } from './piece-writer.js'
import type { Replacing } from './piece-writer.js'
import { retrying } from './retrying.js'

const CONNECT_MS = 10_000
/** A connection that stands still for this long is given up, and the request tried again. */
const IDLE_MS = 60_000
const MIN_CONNECTIONS = 25
const CONTENT_TYPE = 'application/octet-stream'
const FIELDS = 'size,generation,updated,metadata,contentType'
/** What docker's registry has in the place of an upload: the end of it, and where the rest is. */
const UPLOAD_SESSION = 'application/x-docker-upload-session'
/** Between the key of a growing file and the name of one of its pieces; no path of ours holds it. */
const PIECE = '~'

interface Request {
  readonly method: Dispatcher.HttpMethod
  readonly path: string
  readonly query?: Record<string, string | undefined>
  readonly headers?: Record<string, string>
  readonly body?: Buffer | string
  readonly signal?: AbortSignal | undefined
}

interface Resource { size?: string, generation?: string, updated?: string, metadata?: Record<string, string>, contentType?: string }
export interface ComposeSource { readonly name: string, readonly generation?: string | undefined }

/** The requests to one bucket, in terms of names, by the JSON API. Errors are {@link GcsRefusal}, or those of the network. */
export class GcsBucket implements FlatStore {
  readonly #access: GcsAccess
  readonly #pool: Pool
  readonly #bucket: string
  readonly #prefix: string
  readonly #headers: Record<string, string>

  constructor ({ bucket, rootdirectory = '', maxconcurrency, useragent, endpoint }: GcsOptions, access: GcsAccess) {
    this.#access = access
    this.#pool = new Pool(new URL(endpoint).origin, {
      connections: Math.max(maxconcurrency, MIN_CONNECTIONS), headersTimeout: IDLE_MS, bodyTimeout: IDLE_MS, connect: { timeout: CONNECT_MS }
    })
    this.#bucket = bucket
    this.#prefix = rootdirectory.replace(/^\/+|\/+$/g, '')
    this.#headers = useragent === undefined ? {} : { 'user-agent': useragent }
  }

  key (path: string): string {
    return `${this.#prefix}${path}`.replace(/^\/+/, '')
  }

  /** Where a piece of a growing file waits. */
  pieceKey (key: string): string {
    return `${key}${PIECE}${randomUUID()}`
  }

  close (): void {
    // What is still asked for is ended with it.
    this.#pool.destroy().catch(() => {})
  }

  async put (key: string, body: Uint8Array): Promise<string> {
    const { generation = '' } = await this.#json<Resource>({
      ...this.#upload({ uploadType: 'media', name: key }), headers: { 'content-type': CONTENT_TYPE }, body: body as Buffer
    })
    return generation
  }

  /** The same, if the object still has the generation. */
  async replace (key: string, body: Buffer, { etag, mark }: Replacing): Promise<string> {
    const boundary = randomUUID()
    const about = JSON.stringify({ name: key, contentType: CONTENT_TYPE, metadata: { [MARK]: mark } })
    const { generation = '' } = await this.#json<Resource>({
      ...this.#upload({ uploadType: 'multipart', ifGenerationMatch: etag }),
      headers: { 'content-type': `multipart/related; boundary=${boundary}` },
      body: Buffer.concat([
        Buffer.from(`--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${about}\r\n--${boundary}\r\ncontent-type: ${CONTENT_TYPE}\r\n\r\n`),
        body,
        Buffer.from(`\r\n--${boundary}--\r\n`)
      ])
    })
    return generation
  }

  async head (key: string): Promise<StoredObject | undefined> {
    try {
      const { size = '0', generation = '', updated, metadata = {}, contentType } = await this.#json<Resource>({ method: 'GET', path: this.#path(key), query: { fields: FIELDS } })
      if (contentType === UPLOAD_SESSION) return undefined
      return { size: Number(size), etag: generation, modified: new Date(updated ?? 0), metadata }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async get (key: string, { range, etag, signal }: { readonly range?: string | undefined, readonly etag?: string | undefined, readonly signal?: AbortSignal | undefined } = {}): Promise<StoredBody> {
    const { headers, body } = await this.#request({ method: 'GET', path: this.#path(key), query: { alt: 'media', generation: etag }, headers: range === undefined ? {} : { range }, signal })
    body.on('error', () => {}) // also when it is destroyed, and nobody listens any more
    return {
      size: Number(headers['content-length']), etag: String(headers['x-goog-generation']), modified: new Date(String(headers['last-modified'])), metadata: {}, body
    }
  }

  async * list (prefix: string, { direct = false }: { readonly direct?: boolean } = {}): AsyncGenerator<StoredPage> {
    let pageToken: string | undefined
    do {
      const page = await this.#page({ prefix, pageToken, delimiter: direct ? '/' : undefined })
      const keys = (page.items ?? []).map(({ name }) => name)
      yield { keys: direct ? keys.filter(key => !key.includes(PIECE, prefix.length)) : keys, directories: page.prefixes ?? [] }
      pageToken = page.nextPageToken
    } while (pageToken !== undefined)
  }

  async holds (prefix: string): Promise<boolean> {
    const { items = [] } = await this.#page({ prefix, maxResults: '1' })
    return items.length > 0
  }

  async delete (keys: readonly string[]): Promise<void> {
    await concurrently(keys, async key => {
      try {
        await (await this.#request({ method: 'DELETE', path: this.#path(key) })).body.dump()
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    })
  }

  /** Deletes the pieces of a growing file that nobody joined, and says how many there were. */
  async deletePieces (key: string): Promise<number> {
    let count = 0
    for await (const { keys } of this.list(`${key}${PIECE}`)) {
      await this.delete(keys)
      count += keys.length
    }
    return count
  }

  /** The copy is seen when it is complete. Large ones between storage classes or places take several requests. */
  async copy ({ key, etag }: { readonly key: string, readonly etag: string }, to: string): Promise<void> {
    let rewriteToken: string | undefined
    do {
      const answer = await this.#json<{ done?: boolean, rewriteToken?: string }>({
        method: 'POST', path: `${this.#path(key)}/rewriteTo${this.#path(to).slice('/storage/v1'.length)}`, query: { ifSourceGenerationMatch: etag, rewriteToken, fields: 'done,rewriteToken' }
      })
      rewriteToken = answer.done === false ? answer.rewriteToken : undefined
    } while (rewriteToken !== undefined)
  }

  /** Makes one object of at most 32, which stay: a new one, or one in the place of what has the generation. */
  async compose (key: string, sources: readonly ComposeSource[], replacing?: Replacing): Promise<string> {
    const sourceObjects = sources.map(({ name, generation }) => generation === undefined ? { name } : { name, generation, objectPreconditions: { ifGenerationMatch: generation } })
    const { generation = '' } = await this.#json<Resource>({
      method: 'POST',
      path: `${this.#path(key)}/compose`,
      query: { ifGenerationMatch: replacing?.etag },
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sourceObjects, destination: { contentType: CONTENT_TYPE, ...replacing === undefined ? {} : { metadata: { [MARK]: replacing.mark } } } })
    })
    return generation
  }

  async signedUrl (key: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return await retrying(async () => await this.#access.signedUrl(this.#bucket, key, method), isTransient)
  }

  #path (key: string): string {
    return `/storage/v1/b/${encodeURIComponent(this.#bucket)}/o/${encodeURIComponent(key)}`
  }

  #upload (query: Record<string, string>): Pick<Request, 'method' | 'path' | 'query'> {
    return { method: 'POST', path: `/upload/storage/v1/b/${encodeURIComponent(this.#bucket)}/o`, query: { ...query, fields: FIELDS } }
  }

  async #page (query: Record<string, string | undefined>): Promise<{ items?: Array<{ name: string }>, prefixes?: string[], nextPageToken?: string }> {
    try {
      return await this.#json({ method: 'GET', path: `/storage/v1/b/${encodeURIComponent(this.#bucket)}/o`, query: { ...query, fields: 'items(name),prefixes,nextPageToken' } })
    } catch (error) {
      if (isMissing(error)) throw new GcsRefusal(404, 'bucketNotFound', 'there is no such bucket')
      throw error
    }
  }

  async #json<T> (request: Request): Promise<T> {
    return await retrying(async () => await (await this.#once(request)).body.json() as T, isTransient)
  }

  async #request (request: Request): Promise<Dispatcher.ResponseData> {
    return await retrying(async () => await this.#once(request), isTransient, request.signal)
  }

  async #once ({ method, path, query = {}, headers, body = '', signal }: Request): Promise<Dispatcher.ResponseData> {
    const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))
    const answer = await this.#pool.request({
      method,
      path,
      query: given,
      headers: { ...this.#headers, ...headers, authorization: await this.#access.authorization() },
      body: method === 'POST' ? body : null,
      ...signal === undefined ? {} : { signal }
    })
    if (answer.statusCode < 300) return answer
    throw refusal(answer.statusCode, await answer.body.text())
  }
}
