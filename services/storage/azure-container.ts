import type { Agent } from 'node:http'
import type { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import type { BlockBlobClient, ContainerClient, RestError } from '@azure/storage-blob'
import { concurrently } from '../registry/concurrently.js'
import { AzureUrls, azureService } from './azure-access.js'
import type { AzureCredential } from './azure-access.js'
import { codeOf, isMissing, isTransient } from './azure-error.js'
import type { AzureSdk } from './azure-sdk.js'
import { copyPolling } from './azure-settings.js'
import type { AzureOptions, CopyPolling } from './azure-settings.js'
import type { FlatStore, StoredBody, StoredObject, StoredPage } from './flat-store.js'
import { MARK } from './piece-writer.js'
import type { Replacing } from './piece-writer.js'
import { retrying } from './retrying.js'

const PAGE = 5000
const BLOB_HEADERS = { blobHTTPHeaders: { blobContentType: 'application/octet-stream' } } as const
const MAX_PAUSE_MS = 5000

interface PageSettings { readonly maxPageSize: number, readonly continuationToken?: string }
export interface AzureBlock { readonly id: string, readonly size: number }

/** The requests to one container, in terms of names. Errors are those of the SDK. */
export class AzureContainer implements FlatStore {
  readonly #container: ContainerClient
  readonly #agent: Agent
  readonly #urls: AzureUrls
  readonly #polling: CopyPolling
  readonly #root: string
  /** Registry 2 put the slash of its paths in front of all names. */
  #lead = ''

  constructor (sdk: AzureSdk, options: AzureOptions, credential: AzureCredential) {
    const { client, agent } = azureService(sdk, options, credential)
    this.#container = client.getContainerClient(options.container)
    this.#agent = agent
    this.#urls = new AzureUrls(sdk, client, credential)
    this.#polling = copyPolling(options)
    this.#root = (options.rootdirectory ?? '').replace(/^\/+|\/+$/g, '')
    if (options.trimlegacyrootprefix === false) this.#lead = '/'
  }

  /** Finds out whether the names begin with a slash. Where both kinds are, those without are what registry 3 sees. */
  async detectLead (): Promise<void> {
    const name = this.key('/docker/registry/v2/')
    if (!await this.holds(name) && await this.holds(`/${name}`)) this.#lead = '/'
  }

  key (path: string): string {
    return this.#lead + `${this.#root}${path}`.replace(/^\/+/, '')
  }

  close (): void {
    this.#agent.destroy()
  }

  async put (key: string, body: Uint8Array): Promise<string> {
    try {
      return await this.#upload(key, body, {})
    } catch (error) {
      // Docker's registry made append blobs of uploads, which stay what they are until they are deleted.
      if (codeOf(error) !== 'InvalidBlobType') throw error
      await this.delete([key])
      return await this.#upload(key, body, {})
    }
  }

  /** The same, if the blob still has the etag. */
  async replace (key: string, body: Uint8Array, replacing: Replacing): Promise<string> {
    return await this.#upload(key, body, replaced(replacing))
  }

  async head (key: string): Promise<StoredObject | undefined> {
    try {
      const { contentLength, etag, lastModified, metadata, copyStatus } = await this.#try(key, blob => blob.getProperties())
      // A copy that is not complete is no blob; in an account with directories they answer like blobs.
      if ((copyStatus ?? 'success') !== 'success' || metadata?.['hdi_isfolder'] === 'true') return undefined
      return object({ contentLength, etag, lastModified, metadata })
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async get (key: string, { range, etag, signal }: { readonly range?: string | undefined, readonly etag?: string | undefined, readonly signal?: AbortSignal | undefined } = {}): Promise<StoredBody> {
    const [, start = '0', end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
    const options = { ...signal === undefined ? {} : { abortSignal: signal }, ...etag === undefined ? {} : { conditions: { ifMatch: etag } } }
    const answer = await retrying(async () => await this.#blob(key).download(Number(start), end === undefined ? undefined : Number(end) - Number(start) + 1, options), isTransient, signal)
    const found = { ...object(answer), body: answer.readableStreamBody as Readable }
    if ((answer.copyStatus ?? 'success') === 'success' && answer.metadata?.['hdi_isfolder'] !== 'true') return found
    found.body.on('error', () => {}).destroy()
    throw Object.assign(new Error('the copy is not complete'), { code: 'BlobNotFound' })
  }

  async * list (prefix: string, { direct = false }: { readonly direct?: boolean } = {}): AsyncGenerator<StoredPage> {
    let token: string | undefined
    do {
      const settings = { maxPageSize: PAGE, ...token === undefined || token === '' ? {} : { continuationToken: token } }
      const { segment, continuationToken } = await retrying(async () => await this.#page(prefix, direct, settings), isTransient)
      yield {
        keys: segment.blobItems.map(({ name }) => name),
        directories: (segment.blobPrefixes ?? []).map(({ name }) => name)
      }
      token = continuationToken
    } while (token !== undefined && token !== '')
  }

  async holds (prefix: string): Promise<boolean> {
    let token: string | undefined
    // The service may answer with a page of nothing and go on.
    do {
      const settings = { maxPageSize: 1, ...token === undefined ? {} : { continuationToken: token } }
      const page = await retrying(async () => await this.#page(prefix, false, settings), isTransient)
      if (page.segment.blobItems.length > 0) return true
      token = page.continuationToken === '' ? undefined : page.continuationToken
    } while (token !== undefined)
    return false
  }

  async delete (keys: readonly string[]): Promise<void> {
    const full = (await concurrently(keys, async key => await this.#delete(key) ? [] : [key])).flat()
    // In an account with directories, those that were not empty yet: the deepest first.
    for (const key of full.sort().reverse()) await this.#try(key, blob => blob.delete())
  }

  /** The copy is seen when it is complete. The source's URL is signed: identities other than account keys need that. */
  async copy ({ key, etag }: { readonly key: string, readonly etag: string }, to: string): Promise<void> {
    try {
      await this.#copy(key, etag, to)
    } catch (error) {
      if (codeOf(error) !== 'InvalidBlobType') throw error
      await this.delete([to]) // an append blob of docker's registry
      await this.#copy(key, etag, to)
    }
  }

  async signedUrl (key: string): Promise<string> {
    return await retrying(async () => await this.#urls.sign(this.#blob(key)), isTransient)
  }

  async stageBlock (key: string, id: string, body: Uint8Array): Promise<void> {
    await this.#try(key, blob => blob.stageBlock(id, body as Buffer, body.byteLength))
  }

  /** Blocks of which the blob is made, in order; none for one that was written in one piece. With the blob's etag. */
  async blocks (key: string): Promise<{ readonly etag: string | undefined, readonly blocks: AzureBlock[] }> {
    const { etag, committedBlocks = [] } = await this.#try(key, blob => blob.getBlockList('committed'))
    return { etag, blocks: committedBlocks.map(({ name, size }) => ({ id: name, size })) }
  }

  async commitBlocks (key: string, ids: readonly string[], replacing: Replacing): Promise<string> {
    const { etag = '' } = await this.#try(key, blob => blob.commitBlockList([...ids], { ...BLOB_HEADERS, ...replaced(replacing) }))
    return etag
  }

  async #upload (key: string, body: Uint8Array, settings: Partial<ReturnType<typeof replaced>>): Promise<string> {
    const { etag = '' } = await this.#try(key, blob => blob.upload(body as Buffer, body.byteLength, { ...BLOB_HEADERS, ...settings }))
    return etag
  }

  async #page (prefix: string, direct: boolean, settings: PageSettings): Promise<{ segment: { blobItems: Array<{ name: string }>, blobPrefixes?: Array<{ name: string }> | undefined }, continuationToken?: string | undefined }> {
    const pages = direct ? this.#container.listBlobsByHierarchy('/', { prefix }).byPage(settings) : this.#container.listBlobsFlat({ prefix }).byPage(settings)
    return (await pages.next()).value
  }

  /** Says whether it is gone; not, when it is a directory in which something lies. */
  async #delete (key: string): Promise<boolean> {
    try {
      await this.#try(key, blob => blob.delete())
    } catch (error) {
      if (codeOf(error) === 'DirectoryIsNotEmpty') return false
      if (!isMissing(error)) throw error
    }
    return true
  }

  async #copy (key: string, etag: string, to: string): Promise<void> {
    const begun = await this.#beginCopy(key, etag, to)
    if (begun === 'done') return
    let copyId: string | undefined
    for (let poll = 1; ; poll++) {
      if (poll > this.#polling.polls) return await this.#giveUp(to, copyId, `is not done after ${poll - 1} questions`)
      await setTimeout(Math.min(poll * this.#polling.delayMs, MAX_PAUSE_MS))
      const found = await this.#try(to, blob => blob.getProperties())
      // Another copy to the same place is of the same bytes, and as good.
      if (found.copyStatus === 'success') return
      if (begun === 'ours') copyId = found.copyId
      if (found.copyStatus !== 'pending') return await this.#giveUp(to, copyId, found.copyStatusDescription ?? String(found.copyStatus))
    }
  }

  /** Pending when somebody else copies to the same place, or an attempt of ours does whose answer was lost. */
  async #beginCopy (key: string, etag: string, to: string): Promise<'done' | 'ours' | 'pending'> {
    const source = await this.signedUrl(key)
    try {
      const begun = await this.#try(to, blob => blob.beginCopyFromURL(source, { sourceConditions: { ifMatch: etag } }))
      return begun.isDone() ? 'done' : 'ours'
    } catch (error) {
      if (codeOf(error) === 'PendingCopyOperation') return 'pending'
      throw error
    }
  }

  async #giveUp (to: string, copyId: string | undefined, why: string): Promise<never> {
    // What is left of it is no blob to anybody; a copy of somebody else's is left alone.
    if (copyId !== undefined) await this.#removeCopy(to, copyId).catch(() => {})
    throw new Error(`the copy within the store: ${why}`)
  }

  async #removeCopy (to: string, copyId: string): Promise<void> {
    const blob = this.#blob(to)
    await blob.abortCopyFromURL(copyId).catch(() => {}) // has failed already
    const found = await blob.getProperties()
    if (found.copyId === copyId && found.copyStatus !== 'success' && found.etag !== undefined) await blob.delete({ conditions: { ifMatch: found.etag } })
  }

  #blob (key: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(key)
  }

  async #try<T> (key: string, request: (blob: BlockBlobClient) => Promise<T>): Promise<T> {
    return await retrying(async () => await request(this.#blob(key)), isTransient)
  }
}

/** Whether the error says that the blob has another etag, or that the blocks went with somebody else's. */
export function isConflict (error: unknown): boolean {
  const { statusCode } = error as Partial<RestError>
  return statusCode === 412 || codeOf(error) === 'InvalidBlockList' || isMissing(error)
}

function replaced ({ etag, mark }: Replacing): { conditions: { ifMatch: string }, metadata: Record<string, string> } {
  return { conditions: { ifMatch: etag }, metadata: { [MARK]: mark } }
}

interface Answer { contentLength?: number | undefined, etag?: string | undefined, lastModified?: Date | undefined, metadata?: Record<string, string> | undefined }

function object ({ contentLength = 0, etag = '', lastModified = new Date(0), metadata = {} }: Answer): StoredObject {
  return { size: contentLength, etag, modified: lastModified, metadata }
}
