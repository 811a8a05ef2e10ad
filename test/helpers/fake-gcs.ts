import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { parseConfig } from '../../services/config/parse.js'
import type { GcsOptions } from '../../services/storage/gcs-settings.js'
import { GcsDriver } from '../../services/storage/gcs.js'
import { needs } from './clients.js'
import { freePort } from './docker-registry.js'
import { startServerProcess } from './server-process.js'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** The key of a service account that exists only here, and what verifies its signatures. */
export const SERVICE_ACCOUNT = {
  type: 'service_account',
  project_id: 'test',
  private_key_id: 'test',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  client_email: 'registry@test.iam.gserviceaccount.com'
}
export const SERVICE_ACCOUNT_KEY = publicKey

/** Skips aloud where fake-gcs-server is not installed. */
export function needsFakeGcs (): { skip?: string } {
  return needs('fake-gcs-server')
}

/** A server of the JSON API, with a bucket. It looks at no credentials and no signatures. */
export interface FakeGcs {
  readonly url: string
  readonly bucket: string
  /** Names of all objects that begin so. */
  names (prefix: string): Promise<string[]>
}

export async function startFakeGcs (t: Test): Promise<FakeGcs> {
  const port = String(await freePort())
  const url = await withConditions(t, `http://127.0.0.1:${port}`)
  const args = ['-backend', 'memory', '-scheme', 'http', '-host', '127.0.0.1', '-port', port, '-public-host', new URL(url).host, '-external-url', url]
  await startServerProcess(t, 'fake-gcs-server', args, { ready: /server started/ })
  const bucket = `b-${randomUUID()}`
  await fetch(`${url}/storage/v1/b?project=test`, { method: 'POST', body: JSON.stringify({ name: bucket }) })
  const names = async (prefix: string): Promise<string[]> => {
    const answer = await fetch(`${url}/storage/v1/b/${bucket}/o?prefix=${encodeURIComponent(prefix)}`)
    const { items = [] } = await answer.json() as { items?: Array<{ name: string }> }
    return items.map(({ name }) => name)
  }
  return { url, bucket, names }
}

export interface FakeGcsParameters { bucket: string, endpoint: string, rootdirectory: string, credentials: Record<string, string> }

/** What a user writes for a part of the bucket of its own. */
export function fakeGcsParameters ({ url, bucket }: FakeGcs): FakeGcsParameters {
  return { bucket, endpoint: url, rootdirectory: `/root-${randomUUID()}`, credentials: SERVICE_ACCOUNT }
}

/** The same, complete. */
export function fakeGcsOptions (gcs: FakeGcs, options: Partial<GcsOptions> = {}): GcsOptions {
  const { gcs: complete } = parseConfig({ storage: { gcs: { ...fakeGcsParameters(gcs), ...options } } }).storage
  if (complete === undefined) throw new Error('no gcs')
  return complete
}

/** A driver on what is there, closed with the test. */
export async function fakeGcsDriver (t: Test, options: GcsOptions): Promise<GcsDriver> {
  const driver = await GcsDriver.open(options)
  t.teardown(async () => { await driver.close() })
  return driver
}

/** The server composes whatever the generation is: in front of it stands what Google does instead. */
async function withConditions (t: Test, origin: string): Promise<string> {
  const refused = async (path: string): Promise<boolean> => {
    const { pathname, searchParams } = new URL(path, origin)
    const wanted = searchParams.get('ifGenerationMatch')
    if (wanted === null || !pathname.endsWith('/compose')) return false
    const { generation } = await (await fetch(`${origin}${pathname.slice(0, -'/compose'.length)}`)).json() as { generation?: string }
    return generation !== wanted
  }
  const pass = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const upstream = request(new URL(incoming.url ?? '/', origin), { method: incoming.method, headers: incoming.headers }, answer => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(outgoing)
    })
    upstream.on('error', () => { outgoing.destroy() })
    outgoing.on('close', () => { upstream.destroy() })
    incoming.pipe(upstream)
  }
  const refuse = (outgoing: ServerResponse): void => {
    outgoing.writeHead(412, { 'content-type': 'application/json' })
    outgoing.end(JSON.stringify({ error: { code: 412, message: 'At least one of the pre-conditions you specified did not hold.', errors: [{ reason: 'conditionNotMet' }] } }))
  }
  const server = createServer((incoming, outgoing) => {
    refused(incoming.url ?? '/').then(isRefused => { if (isRefused) refuse(outgoing); else pass(incoming, outgoing) }, () => { outgoing.destroy() })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
