import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { image, sha256 } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'

const OCTETS = { 'content-type': 'application/octet-stream' }
const READ_ONLY = { maintenance: { readonly: { enabled: true } } }
const manifest = image('read-only')
const accept = { accept: manifest.mediaType }
const ABSENT = sha256('absent')
const N = '/v2/team/app'
const NO_SESSION = '00000000-0000-4000-8000-000000000000'

/** Status, and for a refusal what is allowed instead. */
async function ask (url: string, method: string, path: string, headers: Record<string, string> = {}): Promise<string> {
  const body = method === 'PUT' || method === 'PATCH' ? new Uint8Array(manifest.bytes) : undefined
  const answer = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
  await answer.arrayBuffer()
  return `${answer.status}${answer.status === 405 ? ` ${answer.headers.get('allow') ?? ''}` : ''}`
}

async function push (t: Test, url: string): Promise<URL> {
  for (const { bytes, digest } of manifest.blobs) {
    const close = await start(t, url)
    close.searchParams.set('digest', digest)
    t.equal((await fetch(close, { method: 'PUT', headers: OCTETS, body: new Uint8Array(bytes) })).status, 201)
  }
  t.equal((await fetch(`${url}${N}/manifests/latest`, { method: 'PUT', headers: { 'content-type': manifest.mediaType }, body: new Uint8Array(manifest.bytes) })).status, 201)
  return await start(t, url)
}

async function start (t: Test, url: string): Promise<URL> {
  const { status, headers } = await fetch(`${url}${N}/blobs/uploads/`, { method: 'POST' })
  t.equal(status, 202)
  return new URL(headers.get('location') ?? '', url)
}

const WRITES = [
  ['PUT', `${N}/manifests/latest`],
  ['PUT', `${N}/manifests/${manifest.digest}`],
  ['DELETE', `${N}/manifests/${manifest.digest}`],
  ['DELETE', `${N}/manifests/${ABSENT}`],
  ['DELETE', `${N}/blobs/${manifest.blobs[0]?.digest ?? ''}`],
  ['DELETE', `${N}/blobs/${ABSENT}`],
  ['POST', `${N}/blobs/uploads/`],
  ['POST', `${N}/blobs/uploads/?mount=${manifest.blobs[0]?.digest ?? ''}&from=team/app`],
  ['POST', '/v2/new/one/blobs/uploads/']
] as const

const READS = [
  ['GET', '/v2/'], ['GET', '/v2/_catalog'], ['GET', `${N}/tags/list`],
  ['GET', `${N}/manifests/latest`], ['HEAD', `${N}/manifests/${manifest.digest}`],
  ['GET', `${N}/blobs/${manifest.blobs[1]?.digest ?? ''}`], ['HEAD', `${N}/blobs/${manifest.blobs[0]?.digest ?? ''}`],
  ['GET', `${N}/blobs/${ABSENT}`], ['GET', `${N}/manifests/none`]
] as const

/** What is left of the sessions of a data directory. */
async function sessions (data: string): Promise<string[]> {
  return await readdir(join(data, 'docker/registry/v2/repositories/team/app/_uploads'))
}

t.test('read-only beside docker\'s registry: the same writes are refused in the same way, the same reads are answered (R-139)', needs('docker-registry'), async t => {
  const directory = t.testdir({ theirs: {}, ours: {} })
  const theirData = join(directory, 'theirs/data')
  const writable = await startDockerRegistry(t, join(directory, 'theirs'), theirData)
  await push(t, writable.url)
  await writable.stop()
  const theirs = await startDockerRegistry(t, join(directory, 'theirs'), theirData, {}, { storage: READ_ONLY })

  const ourDirectory = join(directory, 'ours')
  const before = await startProduct(t, ourDirectory)
  const session = await push(t, before.url)
  await before.stop()
  const storage = { filesystem: { rootdirectory: join(ourDirectory, 'data') }, delete: { enabled: true }, ...READ_ONLY }
  const ours = await startProduct(t, ourDirectory, { storage })

  for (const [method, path] of WRITES) {
    const answer = await ask(ours.url, method, path)
    t.equal(answer, '405 GET, HEAD', `${method} ${path}`)
    t.equal(answer, await ask(theirs.url, method, path), `${method} ${path}`)
  }
  for (const [method, path] of READS) {
    t.equal(await ask(ours.url, method, path, accept), await ask(theirs.url, method, path, accept), `${method} ${path}`)
  }

  // A session from before: where it is may be asked, everything else is refused, whether or not there is one.
  t.equal(await ask(ours.url, 'GET', session.pathname), '204')
  for (const method of ['PATCH', 'PUT', 'DELETE']) {
    for (const path of [session.pathname, `${N}/blobs/uploads/${NO_SESSION}`]) t.equal(await ask(ours.url, method, path), '405 GET, HEAD', `${method} ${path}`)
  }
  t.equal((await sessions(join(ourDirectory, 'data'))).length, 1)
  t.equal(await ours.stop(), 0)
})
