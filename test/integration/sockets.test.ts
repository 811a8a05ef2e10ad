import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { blob, image, sha256 } from '../helpers/images.js'
import type { RawConnection } from '../helpers/raw-http.js'
import { rawRequest } from '../helpers/raw-http.js'
import { STORAGES, StreamDriver, openFiles } from '../helpers/storages.js'
import { content, BLOB, CHUNKED, started, opened, push, session, head, chunk, codes, observed } from '../helpers/sockets.js'

const RAW_PATHS: Array<[string, number, string]> = [
  ['/v2/../x', 404, 'NAME_INVALID'],
  ['/v2/a/..%2f..%2fetc/manifests/x', 400, 'NAME_INVALID'],
  ['/v2/a/../../etc/manifests/x', 400, 'NAME_INVALID'],
  ['/v2/%2e%2e/manifests/x', 400, 'NAME_INVALID'],
  ['/v2/a/./b/manifests/x', 400, 'NAME_INVALID'],
  ['/v2/a%252Fb/tags/list', 400, 'NAME_INVALID'],
  ['/v2/a%00b/tags/list', 400, 'NAME_INVALID'],
  ['/v2/a%5Cb/tags/list', 400, 'NAME_INVALID'],
  ['/v2/a/b%2Fmanifests%2Fx', 404, 'NAME_INVALID'],
  ['/v2/a/manifests/b%2Fc', 404, 'NAME_INVALID'],
  ['/v2/a/manifests/..%2f..%2fetc%2fpasswd', 404, 'NAME_INVALID'],
  ['/v2/a/blobs/uploads/..%2f..', 404, 'NAME_INVALID'],
  ['/v2/a/manifests/..', 404, 'MANIFEST_UNKNOWN'],
  ['/v2/a/manifests/%2e%2e', 404, 'MANIFEST_UNKNOWN'],
  ['/v2/a/blobs/..', 400, 'DIGEST_INVALID'],
  ['/v2/a/blobs/uploads/..', 404, 'BLOB_UPLOAD_UNKNOWN'],
  ['//v2/', 404, 'NAME_INVALID'],
  ['/v2//', 404, 'NAME_INVALID'],
  ['/v2/a/tags/%zz', 400, 'UNSUPPORTED'],
  ['/v2/%/tags/list', 400, 'UNSUPPORTED'],
  ['/v2/a%C3/tags/list', 400, 'UNSUPPORTED'],
  ['/%', 400, 'UNSUPPORTED'],
  ['/nowhere', 404, 'NAME_INVALID']
]

for (const [path, status, code] of RAW_PATHS) {
  t.test(`the raw path ${path} is ${status} ${code} in the envelope (R-003, R-008)`, async t => {
    const { host } = await started(t)
    t.same(codes(t, await rawRequest(host, 'GET', path), status), [code])
  })
}

t.test('an escaped slash in a name is a slash', async t => {
  const registry = await started(t)
  const { bytes, mediaType } = image('x', { layers: [], config: { mediaType: 'a/b', digest: content.digest, size: 10 } })
  await push(t, registry)
  const pushed = await rawRequest(registry.host, 'PUT', '/v2/team%2Fapp/manifests/1.0', { 'content-type': mediaType, 'content-length': String(bytes.length) }, bytes.toString())
  t.equal(pushed.status, 201, pushed.body)
  t.same(JSON.parse((await rawRequest(registry.host, 'GET', '/v2/team%2fapp/tags/list')).body), { name: 'team/app', tags: ['1.0'] })
})

t.test('no answer to HEAD has a byte of body: what follows is the next answer (R-005, R-006, R-018)', async t => {
  const registry = await started(t)
  await push(t, registry)
  const connection = await opened(t, registry)
  const paths = ['/v2/', '/v2', '/v2/_catalog', BLOB, `/v2/team/app/referrers/${content.digest}`, '/v2/team/app/tags/list', '/v2/team/app/manifests/1.0', '/v2/nowhere', `/v2/team/app/blobs/${sha256('x')}`, await session(registry), '/nowhere', '/v2/UPPER/tags/list']
  for (const path of paths) {
    connection.send(head('HEAD', path) + head('GET', BLOB))
    const first = await connection.answer({ head: true })
    t.ok([200, 204, 400, 404].includes(first.status), `${path} ${first.status}`)
    const { status, body } = await connection.answer()
    t.equal(status, 200, path)
    t.equal(body, '0123456789', path)
  }
})

t.test('pipelined requests are answered in order', async t => {
  const registry = await started(t)
  await push(t, registry)
  const connection = await opened(t, registry)
  const requests: Array<[string, number]> = [[BLOB, 200], ['/v2/nowhere', 404], ['/v2/', 200], ['/v2/UPPER/tags/list', 400], [BLOB, 200]]
  connection.send(requests.map(([path]) => head('GET', path)).join(''))
  for (const [path, status] of requests) t.equal((await connection.answer()).status, status, path)
})

t.test('a GET may have a body, and it is not taken for the next request', async t => {
  const registry = await started(t)
  await push(t, registry)
  const connection = await opened(t, registry)
  for (const path of [BLOB, '/v2/', '/v2/nowhere']) {
    const status = path === '/v2/nowhere' ? 404 : 200
    connection.send(head('GET', path, { 'content-length': 5, 'content-type': 'application/json' }) + 'GET /')
    t.equal((await connection.answer()).status, status)
    connection.send(head('GET', path, CHUNKED) + chunk('GET /') + chunk(''))
    t.equal((await connection.answer()).status, status)
  }
  connection.send(head('GET', BLOB))
  t.equal((await connection.answer()).body, '0123456789')
})

t.test('Expect: 100-continue is answered with 100 before the body is sent (R-016)', async t => {
  const registry = await started(t)
  const connection = await opened(t, registry)
  connection.send(head('PUT', `${await session(registry)}?digest=${content.digest}`, { expect: '100-continue', 'content-length': 10 }))
  t.equal((await connection.answer()).status, 100)
  connection.send(content.bytes)
  t.equal((await connection.answer()).status, 201)
})

t.test('a PATCH in chunked coding is taken as it comes, without type or length (R-025, R-091)', async t => {
  const registry = await started(t)
  const connection = await opened(t, registry)
  connection.send(head('PATCH', await session(registry), CHUNKED))
  for (const piece of ['0', '123', '456789', '']) connection.send(chunk(piece))
  const patched = await connection.answer()
  t.equal(patched.status, 202)
  t.equal(patched.headers.get('range'), '0-9')
  connection.send(head('PUT', `${patched.headers.get('location')}?digest=${content.digest}`, CHUNKED) + chunk(''))
  t.equal((await connection.answer()).status, 201)
})

for (const [what, open] of STORAGES) {
  for (const [how, cut] of [['reset', (connection: RawConnection) => { connection.abort() }], ['ended', (connection: RawConnection) => { connection.socket.end() }]] as const) {
    t.test(`a PUT whose connection is ${how} halfway is not committed, its status is exact, and it can be finished, in ${what} (R-101, R-118)`, async t => {
      const { registry, written } = await observed(t, await open(t))
      const location = await session(registry)
      const connection = await opened(t, registry)
      connection.send(head('PUT', `${location}?digest=${content.digest}`, { 'content-length': 10 }) + '0123')
      await written
      cut(connection)
      const state = await rawRequest(registry.host, 'GET', location)
      t.equal(state.status, 204)
      t.equal(state.headers.get('range'), '0-3')
      t.equal((await rawRequest(registry.host, 'HEAD', BLOB)).status, 404)
      const finished = await rawRequest(registry.host, 'PUT', `${state.headers.get('location')}?digest=${content.digest}`, { 'content-length': '6' }, '456789')
      t.equal(finished.status, 201, finished.body)
      t.equal((await rawRequest(registry.host, 'GET', BLOB)).body, '0123456789')
    })

    t.test(`a PATCH whose connection is ${how} leaves the session to the next connection at once, in ${what} (R-101, R-102)`, async t => {
      const { registry, written } = await observed(t, await open(t))
      const location = await session(registry)
      const dead = await opened(t, registry)
      dead.send(head('PATCH', location, CHUNKED) + chunk('0123') + '100\r\n')
      await written
      cut(dead)
      const patched = await rawRequest(registry.host, 'PATCH', location.replace(/\.0$/, '.4'), { 'content-length': '6', 'content-range': '4-9' }, '456789')
      t.equal(patched.status, 202, patched.body)
      t.equal(patched.headers.get('range'), '0-9')
      const finished = await rawRequest(registry.host, 'PUT', `${patched.headers.get('location')}?digest=${content.digest}`, { 'content-length': '0' })
      t.equal(finished.status, 201, finished.body)
    })
  }

  t.test(`a POST of a whole blob cut off halfway leaves no blob, in ${what} (R-084)`, async t => {
    const { registry, written } = await observed(t, await open(t))
    const connection = await opened(t, registry)
    connection.send(head('POST', `/v2/team/app/blobs/uploads/?digest=${content.digest}`, { 'content-length': 10 }) + '0123')
    await written
    connection.abort()
    t.equal((await rawRequest(registry.host, 'HEAD', BLOB)).status, 404)
    await push(t, registry)
    t.equal((await rawRequest(registry.host, 'GET', BLOB)).body, '0123456789')
  })
}

t.test('64 connections at once, each for one request, are all served', async t => {
  const registry = await started(t)
  await push(t, registry)
  const answers = await Promise.all(Array.from({ length: 64 }, async () => await rawRequest(registry.host, 'GET', BLOB)))
  for (const { status, body, headers } of answers) {
    t.equal(status, 200)
    t.equal(body, '0123456789')
    t.equal(headers.get('connection'), 'close')
  }
})

t.test('64 uploads at once are all stored', async t => {
  const registry = await started(t)
  await Promise.all(Array.from({ length: 64 }, async (_, i) => {
    const { bytes, digest } = blob(`upload ${i}`)
    const location = await session(registry)
    const { status } = await rawRequest(registry.host, 'PUT', `${location}?digest=${digest}`, { 'content-length': String(bytes.length) }, bytes.toString())
    t.equal(status, 201)
    t.equal((await rawRequest(registry.host, 'GET', `/v2/team/app/blobs/${digest}`)).body, `upload ${i}`)
  }))
})

t.test('an Authorization header of 32 KiB reaches the access controller', async t => {
  const token = `Bearer ${'x'.repeat(32 * 1024)}`
  let seen: string | undefined
  const registry = await started(t, { instances: { accessController: { authorize: ({ headers: { authorization } }) => { seen = authorization; return {} } } } })
  t.equal((await rawRequest(registry.host, 'GET', '/v2/', { authorization: token })).status, 200)
  t.equal(seen, token)
})

t.test('a download that fails halfway is cut, never ended as if it were whole', async t => {
  const driver = new StreamDriver(new MemoryDriver())
  const registry = await started(t, { instances: { driver } })
  await push(t, registry)
  driver.spoil = true
  const connection = await opened(t, registry)
  connection.send(head('GET', BLOB))
  await t.rejects(connection.answer(), { message: /connection closed/ })
  t.equal((await rawRequest(registry.host, 'GET', '/v2/')).status, 200)
})

t.test('2000 downloads that are cut off leave no file open (R-071)', { skip: process.platform !== 'linux' && 'needs /proc' }, async t => {
  const directory = t.testdir()
  const driver = new StreamDriver(await FilesystemDriver.open({ rootdirectory: directory, fsync: false }))
  const registry = await started(t, { instances: { driver } })
  const bytes = Buffer.alloc(8 * 1024 * 1024, 'x')
  await push(t, registry, bytes)
  t.same(await openFiles(directory), [])
  const url = `${registry.url}/v2/team/app/blobs/${sha256(bytes)}`
  let mostOpen = 0
  for (let round = 0; round < 100; round++) {
    await Promise.all(Array.from({ length: 20 }, async (_, i) => {
      const request = httpRequest(url, { agent: false, headers: i % 2 === 0 ? {} : { range: `bytes=${i}-` } }).end()
      const closed = once(request, 'close')
      const [answer] = await once(request, 'response') as [IncomingMessage]
      t.equal(answer.statusCode, i % 2 === 0 ? 200 : 206)
      await once(answer, 'data')
      // The rest stays where it is until the connection is cut.
      answer.pause()
      mostOpen = Math.max(mostOpen, (await openFiles(directory)).length)
      request.destroy()
      await closed
    }))
  }
  t.equal(driver.streams.length, 2000)
  t.ok(mostOpen > 0, 'files are open while they are sent')
  await Promise.all(driver.streams.map(async stream => stream.closed || await once(stream, 'close')))
  t.same(await openFiles(directory), [])
})
