import type { Test } from 'tap'
import type { ServerOptions } from '../../server.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { startRegistry } from '../../testing.js'
import type { TestRegistry } from '../../testing.js'
import type { ErrorBody } from './build.js'
import { blob, sha256 } from './images.js'
import { RawConnection, rawRequest } from './raw-http.js'
import type { RawAnswer } from './raw-http.js'
import { watchWrites } from './storages.js'

export const content = blob('0123456789')
export const BLOB = `/v2/team/app/blobs/${content.digest}`
export const CHUNKED = { 'transfer-encoding': 'chunked' }

export async function started (t: Test, options: ServerOptions = {}): Promise<TestRegistry> {
  const registry = await startRegistry({ http: { relativeurls: true }, ...options })
  t.teardown(async () => { await registry.close() })
  return registry
}

export async function opened (t: Test, { host }: TestRegistry): Promise<RawConnection> {
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  return connection
}

export async function push (t: Test, { url }: TestRegistry, bytes: Uint8Array = content.bytes): Promise<void> {
  const answer = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${sha256(bytes)}`, { method: 'POST', body: bytes as Uint8Array<ArrayBuffer> })
  t.equal(answer.status, 201)
  await answer.arrayBuffer()
}

export async function session ({ host }: TestRegistry): Promise<string> {
  const { headers } = await rawRequest(host, 'POST', '/v2/team/app/blobs/uploads/', { 'content-length': '0' })
  return headers.get('location') ?? ''
}

export function head (method: string, path: string, headers: Record<string, string | number> = {}): string {
  return `${method} ${path} HTTP/1.1\r\nhost: x\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

export function chunk (text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

/** Checks an error answer as it came over the wire, and returns its codes. */
export function codes (t: Test, { status, headers, body }: RawAnswer, expected: number): string[] {
  t.equal(status, expected, body)
  t.equal(headers.get('content-type'), 'application/json')
  t.equal(headers.get('docker-distribution-api-version'), 'registry/2.0')
  return (JSON.parse(body) as ErrorBody).errors.map(({ code }) => code)
}

/** A registry that tells when the first bytes of an upload are on their way to storage. */
export async function observed (t: Test, driver: StorageDriver): Promise<{ registry: TestRegistry, written: Promise<void> }> {
  const { driver: watched, written } = watchWrites(driver)
  return { registry: await started(t, { instances: { driver: watched } }), written }
}
