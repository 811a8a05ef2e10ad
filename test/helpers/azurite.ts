import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { Agent } from 'node:https'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BlobServiceClient, StorageSharedKeyCredential, newPipeline } from '@azure/storage-blob'
import type { ContainerClient } from '@azure/storage-blob'
import type { Test } from 'tap'
import { parseConfig } from '../../services/config/parse.js'
import type { AzureOptions } from '../../services/storage/azure-settings.js'
import { AzureDriver } from '../../services/storage/azure.js'
import { client } from './clients.js'
import { startServerProcess } from './server-process.js'

/** The last version for Node 20. It has hundreds of dependencies, so it is no development dependency of ours. */
const VERSION = 'azurite@3.35.0'
const DIRECTORY = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'oci-registry-ci', 'azurite')
const MAIN = join(DIRECTORY, 'node_modules/azurite/dist/src/blob/main.js')
const ACCOUNT = 'registry'
const KEY = Buffer.from('the key of an account that exists only here').toString('base64')

/** Skips aloud where Azurite is not installed; in CI it is installed by the test. */
export function needsAzurite (): { skip?: string } {
  return existsSync(MAIN) || process.env['CI'] === 'true' ? {} : { skip: `Azurite is not installed: npm install --prefix ${DIRECTORY} ${VERSION}` }
}

/** Microsoft's own emulator of Blob Storage, with a container. */
export interface Azurite { readonly url: string, readonly container: ContainerClient }

/** With a certificate it speaks TLS, and takes the tokens of identities beside the key. */
export async function startAzurite (t: Test, tls?: { readonly certificate: string, readonly key: string }): Promise<Azurite> {
  if (!existsSync(MAIN)) await client('npm', 'install', '--no-audit', '--no-fund', '--prefix', DIRECTORY, VERSION)
  const args = ['--skipApiVersionCheck', '--inMemoryPersistence', '--disableTelemetry', '--silent', '--blobHost', '127.0.0.1', '--blobPort', '0']
  if (tls !== undefined) args.push('--oauth', 'basic', '--cert', tls.certificate, '--key', tls.key)
  const [, origin = ''] = await startServerProcess(t, process.execPath, [MAIN, ...args], { ready: /successfully listens on (\S+)/, env: { AZURITE_ACCOUNTS: `${ACCOUNT}:${KEY}`, ...tls === undefined ? {} : { NODE_EXTRA_CA_CERTS: tls.certificate } } })
  const url = `${origin}/${ACCOUNT}`
  const settings = { retryOptions: { maxTries: 1 }, ...tls === undefined ? {} : { agent: new Agent({ rejectUnauthorized: false }) } }
  const service = new BlobServiceClient(url, newPipeline(new StorageSharedKeyCredential(ACCOUNT, KEY), settings))
  const container = service.getContainerClient(`c-${randomUUID()}`)
  await container.create()
  return { url, container }
}

export interface AzuriteParameters { accountname: string, accountkey: string, container: string, serviceurl: string, rootdirectory: string }

/** What a user writes for a part of the container of its own. */
export function azuriteParameters ({ url, container }: Azurite): AzuriteParameters {
  return { accountname: ACCOUNT, accountkey: KEY, container: container.containerName, serviceurl: url, rootdirectory: `/root-${randomUUID()}` }
}

/** The same, complete. */
export function azuriteOptions (azurite: Azurite, options: Partial<AzureOptions> = {}): AzureOptions {
  const { azure } = parseConfig({ storage: { azure: { ...azuriteParameters(azurite), ...options } } }).storage
  if (azure === undefined) throw new Error('no azure')
  return azure
}

/** A driver on what is there, closed with the test. */
export async function azuriteDriver (t: Test, options: AzureOptions): Promise<AzureDriver> {
  const driver = await AzureDriver.open(options)
  t.teardown(async () => { await driver.close() })
  return driver
}
