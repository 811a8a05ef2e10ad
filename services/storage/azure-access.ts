import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TokenCredential } from '@azure/identity'
import type { BlobServiceClient, BlockBlobClient, StorageSharedKeyCredential, UserDelegationKey } from '@azure/storage-blob'
import { loadAzureIdentity } from './azure-sdk.js'
import type { AzureSdk } from './azure-sdk.js'
import { serviceUrl } from './azure-settings.js'
import type { AzureOptions } from './azure-settings.js'

/** A connection that stands still for this long is given up, and the request tried again. */
const IDLE_MS = 60_000
const MAX_SOCKETS = 256
const URL_MS = 20 * 60_000
/** Newer forms of signatures hold nothing that we need, and are not known everywhere. */
const URL_VERSION = '2020-12-06'
/** Clocks differ: a URL is good from a moment ago. */
const SKEW_MS = 10_000
/** A key that signs URLs is asked for once for so long, and again when a URL would outlive it. */
const KEY_MS = 48 * 3_600_000

export type AzureCredential = StorageSharedKeyCredential | TokenCredential

/** @throws {ConfigError} when the package that knows identities is needed and not installed */
export async function azureCredential (sdk: AzureSdk, { accountname, accountkey = '', credentials: { type, clientid = '', tenantid = '', secret = '' } }: AzureOptions): Promise<AzureCredential> {
  if (type === 'shared_key') return new sdk.StorageSharedKeyCredential(accountname, accountkey)
  const { ClientSecretCredential, DefaultAzureCredential } = await loadAzureIdentity()
  if (type === 'client_secret') return new ClientSecretCredential(tenantid, clientid, secret)
  return clientid === '' ? new DefaultAzureCredential() : new DefaultAzureCredential({ managedIdentityClientId: clientid })
}

export interface AzureService { readonly client: BlobServiceClient, readonly agent: HttpAgent }

/** The SDK's client, on connections that do not hang; it tries everything once, we try again. */
export function azureService (sdk: AzureSdk, options: AzureOptions, credential: AzureCredential): AzureService {
  const url = serviceUrl(options)
  const connections = { keepAlive: true, maxSockets: MAX_SOCKETS, timeout: IDLE_MS }
  const agent = impatient(url.startsWith('https:') ? new HttpsAgent({ ...connections, rejectUnauthorized: !options.skipverify }) : new HttpAgent(connections))
  const settings = { retryOptions: { maxTries: 1 }, agent }
  return { client: new sdk.BlobServiceClient(url, sdk.newPipeline(credential, settings)), agent }
}

/** Signs URLs under which a blob can be read for 20 minutes. */
export class AzureUrls {
  readonly #sdk: AzureSdk
  readonly #service: BlobServiceClient
  readonly #hasKey: boolean
  #delegated: { readonly until: number, readonly key: Promise<UserDelegationKey> } | undefined

  constructor (sdk: AzureSdk, service: BlobServiceClient, credential: AzureCredential) {
    this.#sdk = sdk
    this.#service = service
    this.#hasKey = credential instanceof sdk.StorageSharedKeyCredential
  }

  async sign (blob: BlockBlobClient): Promise<string> {
    const now = Date.now()
    const options = { version: URL_VERSION, permissions: this.#sdk.BlobSASPermissions.parse('r'), startsOn: new Date(now - SKEW_MS), expiresOn: new Date(now + URL_MS) }
    return this.#hasKey
      ? await blob.generateSasUrl(options)
      : await blob.generateUserDelegationSasUrl(options, await this.#delegation(now))
  }

  /** One for all who sign at the same time; one that could not be had is asked for again. */
  async #delegation (now: number): Promise<UserDelegationKey> {
    if (this.#delegated === undefined || this.#delegated.until < now + 2 * URL_MS) {
      const until = now + KEY_MS
      const delegated = { until, key: this.#service.getUserDelegationKey(new Date(now - SKEW_MS), new Date(until)) }
      this.#delegated = delegated
      delegated.key.catch(() => { if (this.#delegated === delegated) this.#delegated = undefined })
    }
    return await this.#delegated.key
  }
}

/** Node tells of a connection that stands still, and leaves it standing. */
function impatient (agent: HttpAgent | HttpsAgent): HttpAgent {
  const connect: (...args: Parameters<HttpAgent['createConnection']>) => Duplex | null | undefined = agent.createConnection.bind(agent)
  agent.createConnection = (...args: Parameters<HttpAgent['createConnection']>) => {
    const socket = connect(...args)
    return socket?.on('timeout', () => { socket.destroy(Object.assign(new Error('the store does not answer'), { code: 'ETIMEDOUT' })) })
  }
  const reuse = agent.reuseSocket.bind(agent)
  agent.reuseSocket = (socket, request) => {
    reuse(socket, request)
    // While nobody used it, the timeout was what the store wants to keep connections for.
    if (socket instanceof Socket) socket.setTimeout(IDLE_MS)
  }
  return agent
}
