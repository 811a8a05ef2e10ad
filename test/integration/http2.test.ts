import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import type { ServerOptions } from '../../server.js'
import { OciError } from '../../services/errors/oci-error.js'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { startRegistry } from '../../testing.js'
import type { ErrorBody } from '../helpers/build.js'
import { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, answerOf, ask, begin, openSession } from '../helpers/http2.js'
import type { Http2Answer } from '../helpers/http2.js'
import { blob, sha256 } from '../helpers/images.js'
import { STORAGES, StreamDriver, openFiles, watchWrites } from '../helpers/storages.js'

const content = blob('0123456789')
const BLOB = `/v2/team/app/blobs/${content.digest}`
const UPLOADS = '/v2/team/app/blobs/uploads/'

async function started (t: Test, { http, ...options }: ServerOptions = {}): Promise<ClientHttp2Session> {
  const registry = await startRegistry({ ...options, http: { relativeurls: true, ...http, h2c: { enabled: true } } })
  t.teardown(async () => { await registry.close() })
  return await openSession(t, registry.url)
}

async function upload (session: ClientHttp2Session): Promise<string> {
  return String((await ask(session, 'POST', UPLOADS)).headers['location'])
}

async function push (t: Test, session: ClientHttp2Session, bytes: Buffer = content.bytes): Promise<string> {
  const digest = sha256(bytes)
  t.equal((await ask(session, 'POST', `${UPLOADS}?digest=${digest}`, {}, bytes)).status, 201)
  return `/v2/team/app/blobs/${digest}`
}

function codes (t: Test, { status, headers, body }: Http2Answer, expected: number): string[] {
  t.equal(status, expected, body.toString())
  t.equal(headers['content-type'], 'application/json')
  return (JSON.parse(body.toString()) as ErrorBody).errors.map(({ code }) => code)
}

const closed = async (stream: ClientHttp2Stream): Promise<void> => { if (!stream.closed) await once(stream, 'close') }

for (const [what, open] of STORAGES) {
  t.test(`a PATCH whose stream is reset leaves its bytes and the session to the next one at once, in ${what} (R-101, R-102)`, async t => {
    const { driver, written } = watchWrites(await open(t))
    const session = await started(t, { instances: { driver } })
    const location = await upload(session)
    const dead = begin(session, 'PATCH', location)
    dead.write('0123')
    await written
    dead.close(NGHTTP2_CANCEL)
    const state = await ask(session, 'GET', location)
    t.equal(state.status, 204)
    t.equal(state.headers['range'], '0-3')
    const patched = await ask(session, 'PATCH', String(state.headers['location']), { 'content-range': '4-9' }, '456789')
    t.equal(patched.status, 202, patched.body.toString())
    t.equal(patched.headers['range'], '0-9')
    t.equal((await ask(session, 'PUT', `${String(patched.headers['location'])}?digest=${content.digest}`)).status, 201)
    t.equal((await ask(session, 'GET', BLOB)).body.toString(), '0123456789')
  })

  t.test(`a PUT whose stream is reset is not committed and can be finished, in ${what} (R-101, R-118)`, async t => {
    const { driver, written } = watchWrites(await open(t))
    const session = await started(t, { instances: { driver } })
    const location = await upload(session)
    const dead = begin(session, 'PUT', `${location}?digest=${content.digest}`, { 'content-length': 10 })
    dead.write('0123')
    await written
    dead.close(NGHTTP2_CANCEL)
    const { headers } = await ask(session, 'GET', location)
    t.equal(headers['range'], '0-3')
    t.equal((await ask(session, 'HEAD', BLOB)).status, 404)
    t.equal((await ask(session, 'PUT', `${String(headers['location'])}?digest=${content.digest}`, {}, '456789')).status, 201)
  })

  t.test(`a POST of a whole blob whose session is cut leaves no blob, in ${what} (R-084)`, async t => {
    const { driver, written } = watchWrites(await open(t))
    const registry = await startRegistry({ http: { relativeurls: true, h2c: { enabled: true } }, instances: { driver } })
    t.teardown(async () => { await registry.close() })
    const [cut, session] = [await openSession(t, registry.url), await openSession(t, registry.url)]
    const dead = begin(cut, 'POST', `${UPLOADS}?digest=${content.digest}`, { 'content-length': 10 })
    dead.write('0123')
    await written
    cut.destroy()
    t.equal((await ask(session, 'HEAD', BLOB)).status, 404)
    await push(t, session)
    t.equal((await ask(session, 'GET', BLOB)).body.toString(), '0123456789')
  })
}

t.test('a PUT that is reset before its body is read takes nothing from what the session had', async t => {
  let hold: Promise<void> | undefined
  let arrived = (): void => {}
  const authorize = async (): Promise<object> => {
    arrived()
    await hold
    return {}
  }
  const session = await started(t, { instances: { accessController: { authorize } } })
  const patched = await ask(session, 'PATCH', await upload(session), {}, '0123')
  const location = String(patched.headers['location'])
  for (const method of ['PUT', 'PATCH']) {
    let goOn = (): void => {}
    hold = new Promise(resolve => { goOn = resolve })
    const isThere = new Promise<void>(resolve => { arrived = resolve })
    const dead = begin(session, method, `${location}?digest=${content.digest}`)
    dead.write('4')
    await isThere
    dead.close(NGHTTP2_CANCEL)
    await closed(dead)
    // What the server is asked next tells that it knows of the reset.
    await new Promise<void>((resolve, reject) => { session.ping(error => { if (error === null) resolve(); else reject(error) }) })
    hold = undefined
    goOn()
    const { status, headers } = await ask(session, 'GET', location)
    t.equal(status, 204, method)
    t.equal(headers['range'], '0-3', method)
  }
  t.equal((await ask(session, 'PUT', `${location}?digest=${content.digest}`, {}, '456789')).status, 201)
})

t.test('a blob of unknown length is pushed in one request, and a digest without a body begins an upload (R-083, R-086)', async t => {
  const session = await started(t)
  t.equal((await ask(session, 'POST', `${UPLOADS}?digest=${content.digest}`)).status, 202)
  t.equal((await ask(session, 'POST', `${UPLOADS}?digest=${content.digest}`, { 'content-length': 0 })).status, 202)
  t.equal((await ask(session, 'POST', `${UPLOADS}?digest=${content.digest}`, {}, Readable.from([content.bytes]))).status, 201)
})

const REFUSED: Array<[string, string, string, object, number]> = [
  ['an unknown session', 'PATCH', `${UPLOADS}00000000-0000-4000-8000-000000000000`, {}, 404],
  ['a wrong Content-Range', 'PATCH', '', { 'content-range': '7-9' }, 416],
  ['a name that is none', 'PUT', '/v2/UPPER/manifests/1.0', {}, 400],
  ['a wrong method', 'POST', '/v2/team/app/manifests/1.0', {}, 405],
  ['no path of ours', 'PUT', '/nowhere', {}, 404]
]

for (const [why, method, path, headers, status] of REFUSED) {
  t.test(`a refusal because of ${why} reaches a client that is still sending, and its stream ends well (R-017)`, async t => {
    const session = await started(t)
    const stream = begin(session, method, path === '' ? await upload(session) : path, { ...headers })
    stream.write('x'.repeat(100_000))
    const answer = answerOf(stream)
    await once(stream, 'response')
    stream.end('x'.repeat(100_000))
    t.equal((await answer).status, status)
    t.equal(stream.rstCode, NGHTTP2_NO_ERROR)
  })
}

t.test('a 401 reaches a client that waits to be asked for its body, which is never asked for (R-016, R-247)', async t => {
  const authorize = (): never => { throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="x"' } }) }
  const session = await started(t, { instances: { accessController: { authorize } } })
  const stream = begin(session, 'PUT', '/v2/team/app/manifests/1.0', { expect: '100-continue' })
  stream.once('continue', () => { t.fail('asked for the body') })
  const answer = answerOf(stream)
  await once(stream, 'response')
  stream.end()
  const refused = await answer
  t.same(codes(t, refused, 401), ['UNAUTHORIZED'])
  t.equal(refused.headers['www-authenticate'], 'Basic realm="x"')
})

t.test('Expect: 100-continue is answered with 100 before the body is sent (R-016)', async t => {
  const session = await started(t)
  const stream = begin(session, 'PUT', `${await upload(session)}?digest=${content.digest}`, { expect: '100-continue', 'content-length': 10 })
  await once(stream, 'continue')
  stream.end(content.bytes)
  t.equal((await answerOf(stream)).status, 201)
})

t.test('an endless body that was refused is ended after a bound, and the session lives on (R-017)', async t => {
  const session = await started(t)
  for (const path of ['/nowhere', `${UPLOADS}00000000-0000-4000-8000-000000000000`]) {
    let left = 64 * 1024 * 1024
    const stream = begin(session, 'PATCH', path)
    const answer = answerOf(stream)
    const piece = Buffer.alloc(64 * 1024)
    while (!stream.closed && left > 0) {
      left -= piece.length
      if (!stream.write(piece)) await Promise.race([closed(stream), once(stream, 'drain').catch(() => {})])
    }
    t.ok(left > 0, 'ended')
    t.same(codes(t, await answer, 404).length, 1)
  }
  t.equal((await ask(session, 'GET', '/v2/')).status, 200)
})

t.test('a content-length that is not that of the body ends the stream, and nothing is committed', async t => {
  const session = await started(t)
  // Newer Nodes end the session with it.
  const other = await openSession(t, `http://127.0.0.1:${session.socket.remotePort ?? 0}`)
  const stream = begin(session, 'POST', `${UPLOADS}?digest=${content.digest}`, { 'content-length': 5 })
  stream.end(content.bytes)
  await t.rejects(answerOf(stream), /no answer/)
  t.equal((await ask(other, 'HEAD', BLOB)).status, 404)
})

t.test('Locations have the authority that the client asked for, and what proxies say goes before it (R-014)', async t => {
  const session = await started(t, { http: { relativeurls: false } })
  const locationOf = async (headers: object): Promise<string> => String((await ask(session, 'POST', `${UPLOADS}?digest=${content.digest}`, { ...headers }, content.bytes)).headers['location'])
  t.equal(await locationOf({ ':authority': 'registry.example:5000' }), `http://registry.example:5000${BLOB}`)
  t.equal(await locationOf({ ':authority': 'inner:5000', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'outer.example' }), `https://outer.example${BLOB}`)
})

t.test('a download that fails halfway is reset, never ended as if it were whole', async t => {
  const driver = new StreamDriver(new MemoryDriver())
  const session = await started(t, { instances: { driver } })
  await push(t, session)
  driver.spoil = true
  await t.rejects(answerOf(begin(session, 'GET', BLOB, {}, { endStream: true })), /broken off/)
  t.equal((await ask(session, 'GET', '/v2/')).status, 200)
})

t.test('downloads that are reset leave no file open, and the session lives on (R-071)', { skip: process.platform !== 'linux' && 'needs /proc' }, async t => {
  const directory = t.testdir()
  const driver = new StreamDriver(await FilesystemDriver.open({ rootdirectory: directory, fsync: false }))
  const session = await started(t, { instances: { driver } })
  const url = await push(t, session, Buffer.alloc(8 * 1024 * 1024, 'x'))
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 10 }, async (_, i) => {
      const stream = begin(session, 'GET', url, i % 2 === 0 ? {} : { range: `bytes=${i}-` }, { endStream: true })
      await once(stream, 'data')
      stream.pause()
      stream.close(NGHTTP2_CANCEL)
      await closed(stream)
    }))
  }
  t.equal(driver.streams.length, 200)
  await Promise.all(driver.streams.map(async stream => stream.closed || await once(stream, 'close')))
  t.same(await openFiles(directory), [])
  t.equal((await ask(session, 'GET', '/v2/')).status, 200)
})

t.test('a client that does not read gets no more than its window, and the rest when it does', async t => {
  const directory = t.testdir()
  const session = await started(t, { storage: { filesystem: { rootdirectory: directory } } })
  const bytes = Buffer.alloc(8 * 1024 * 1024, 'abcdefgh')
  const url = await push(t, session, bytes)
  const slow = begin(session, 'GET', url, {}, { endStream: true })
  await once(slow, 'response')
  // Others pass it by on the same session.
  for (let i = 0; i < 5; i++) t.ok((await ask(session, 'GET', url, { range: 'bytes=1000000-4999999' })).body.equals(bytes.subarray(1_000_000, 5_000_000)))
  t.ok(slow.readableLength <= 64 * 1024, 'the window')
  const received: Buffer[] = []
  for await (const chunk of slow) received.push(chunk as Buffer)
  t.ok(Buffer.concat(received).equals(bytes))
})
