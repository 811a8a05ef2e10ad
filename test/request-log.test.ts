import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { buildServer } from '../server.js'
import type { ServerOptions } from '../server.js'
import { requestId } from '../services/http/request-id.js'
import type { StorageDriver } from '../services/storage/driver.js'
import { FilesystemDriver } from '../services/storage/filesystem.js'
import { MemoryDriver } from '../services/storage/memory.js'
import { basic, htpasswdFile } from './helpers/auth.js'
import { CapturedLog } from './helpers/captured-log.js'
import type { LogLine } from './helpers/captured-log.js'
import { FaultDriver } from './helpers/fault-driver.js'
import { blob, image, pushBlob, pushManifest } from './helpers/images.js'
import { RawConnection } from './helpers/raw-http.js'

const UUID = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

interface Served { readonly app: FastifyInstance, readonly log: CapturedLog, readonly driver: FaultDriver }

/** Its streams end in an error. */
class BreakingDriver extends MemoryDriver {
  override async createReadStream (path: string): Promise<Readable> {
    const content = await this.read(path)
    return Readable.from((async function * () {
      yield content.subarray(0, content.length / 2)
      throw new Error('disk is gone')
    })())
  }
}

async function served (t: Test, options: ServerOptions = {}, storage: StorageDriver = new MemoryDriver()): Promise<Served> {
  const log = new CapturedLog()
  const driver = new FaultDriver(storage)
  const app = buildServer({ logger: log.logger, storage: { inmemory: {}, delete: { enabled: true } }, ...options, instances: { driver } })
  t.teardown(async () => { await app.close() })
  await app.ready()
  return { app, log, driver }
}

/** The lines about requests that are over. */
const completed = ({ lines }: CapturedLog): LogLine[] => lines.filter(({ msg }) => msg?.startsWith('response completed'))

/** The server's end of a connection, and the client's. */
async function connected (app: FastifyInstance): Promise<{ connection: RawConnection, socket: Socket }> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const accepted = once(app.server, 'connection') as Promise<[Socket]>
  const connection = await RawConnection.open(`127.0.0.1:${(app.server.address() as { port: number }).port}`)
  return { connection, socket: (await accepted)[0] }
}

t.test('a request keeps the id it comes with, in the log and in the answer', async t => {
  const { app, log } = await served(t)
  t.equal((await app.inject({ url: '/v2/', headers: { 'x-request-id': 'proxy-1/2:3' } })).headers['x-request-id'], 'proxy-1/2:3')
  t.match(completed(log), [{ 'http.request.id': 'proxy-1/2:3' }])
  t.match((await app.inject('/v2/')).headers['x-request-id'], UUID)
  t.match((await app.inject('/nowhere')).headers['x-request-id'], UUID, 'errors too')
})

t.test('an id that could be taken for something else in the log is replaced', async t => {
  for (const given of [undefined, '', 'a b', 'a"b', 'a\nb', 'x'.repeat(129), ['a', 'b']]) t.match(requestId(given), UUID, String(given))
  t.equal(requestId('x'.repeat(128)), 'x'.repeat(128))
})

t.test('every request has one line, with the fields of docker\'s registry', async t => {
  const { app, log } = await served(t)
  const manifest = image('logged')
  await pushManifest(t, app, 'a/b', manifest, '1.0')
  log.text = ''
  const { connection } = await connected(app)
  connection.send('GET /v2/a/b/manifests/1.0?x=1 HTTP/1.1\r\nhost: r.example:5000\r\nuser-agent: curl\r\nreferer: http://x/\r\nx-forwarded-for: 192.0.2.1\r\nconnection: close\r\n\r\n')
  t.equal((await connection.answer()).status, 200)
  await log.logged('response completed')
  const [line] = completed(log)
  t.match(line, {
    level: 30,
    msg: 'response completed',
    'http.request.host': 'r.example:5000',
    'http.request.id': UUID,
    'http.request.method': 'GET',
    'http.request.proto': 'HTTP/1.1',
    'http.request.referer': 'http://x/',
    'http.request.remoteaddr': '192.0.2.1',
    'http.request.uri': '/v2/a/b/manifests/1.0?x=***',
    'http.request.useragent': 'curl',
    'http.response.contenttype': manifest.mediaType,
    'http.response.duration': /^[\d.]+(?:µs|ms)$/,
    'http.response.status': 200,
    'http.response.written': manifest.size,
    'vars.name': 'a/b',
    'vars.reference': '1.0'
  })
  t.notOk('http.response.aborted' in (line ?? {}), 'a connection that is closed after the answer is no abort')
})

t.test('whatever is asked, there is exactly one line for it, and an error is told once', async t => {
  const { app, log, driver } = await served(t)
  const requests = [
    ['GET', '/'], ['GET', '/v2/'], ['GET', '/v2'], ['GET', '/livez'], ['GET', '/readyz'], ['OPTIONS', '/v2/'], ['GET', '/nowhere'], ['POST', '/v2/a/tags/list'], ['GET', '/v2/%zz'], ['GET', `/v2/a/manifests/${'x'.repeat(600)}`],
    ['GET', '/v2/UPPER/tags/list'], ['GET', '/v2/a/blobs/sha256:1'], ['HEAD', '/v2/a/manifests/1'], ['POST', '/v2/a/blobs/uploads/'], ['PUT', '/v2/a/manifests/1'], ['GET', '/v2/_catalog'], ['DELETE', '/v2/a/manifests/1']
  ] as const
  for (const [method, url] of requests) await app.inject({ method, url })
  driver.before = () => { throw new Error('disk is gone') }
  t.equal((await app.inject('/v2/a/manifests/1')).statusCode, 500)
  const lines = completed(log)
  t.equal(lines.length, requests.length + 1)
  t.equal(new Set(lines.map(line => line['http.request.id'])).size, lines.length)
  for (const { level, msg, 'http.response.status': status, 'err.code': code } of lines) t.match({ level, msg, code }, Number(status) < 400 ? { level: 30, msg: 'response completed', code: undefined } : { level: 50, msg: 'response completed with error', code: /^[a-z ]+$/ })
  t.match(lines.at(-1), { 'err.code': 'unknown', 'err.message': 'unknown error', 'err.cause': /disk is gone/, 'http.response.status': 500 })
  t.equal(log.lines.filter(({ level }) => level >= 50).length, lines.filter(({ level }) => level >= 50).length, 'no other line is an error')
})

t.test('access: requests for it and refusals are told; the first request of a login is no error', async t => {
  const path = await htpasswdFile(t, { ann: 'correct-horse' })
  const { app, log } = await served(t, { auth: { htpasswd: { realm: 'Test', path } } })
  const told = async (authorization?: string): Promise<Array<[number, string | undefined]>> => {
    log.text = ''
    await app.inject({ url: '/v2/', ...(authorization === undefined ? {} : { headers: { authorization } }) })
    return log.lines.filter(({ msg }) => msg !== 'audit').map(({ level, msg }) => [level, msg])
  }
  t.same(await told(), [[20, 'authorizing request'], [30, 'response completed with error']])
  t.same(await told(basic('ann', 'correct-horse')), [[20, 'authorizing request'], [30, 'authorized request'], [30, 'response completed']])
  t.equal(completed(log)[0]?.['auth.user.name'], 'ann')
  t.same(await told(basic('ann', 'wrong')), [[20, 'authorizing request'], [40, 'error authorizing context: authentication required'], [50, 'response completed with error']])
  t.match(log.lines, [{ 'http.request.remoteaddr': /^127\.0\.0\.1/ }])
})

t.test('in an open registry nobody is authorized', async t => {
  const { app, log } = await served(t)
  await app.inject('/v2/')
  t.same(log.lines.map(({ msg }) => msg).slice(-2), ['authorizing request', 'response completed'])
})

t.test('a client that goes away while it uploads is no error, and is told once', async t => {
  const { app, log } = await served(t)
  const { headers: { location = '' } } = await app.inject({ method: 'POST', url: '/v2/a/b/blobs/uploads/', headers: { host: 'x' } })
  for (const [method, path] of [['PATCH', new URL(location).pathname], ['PUT', '/v2/a/b/manifests/1']] as const) {
    log.text = ''
    const { connection } = await connected(app)
    connection.send(`${method} ${path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n{`)
    // Asked to go on, it has been let in.
    t.equal((await connection.answer()).status, 100)
    connection.abort()
    await log.logged('response completed')
    t.match(completed(log), [{ level: 30, 'http.response.aborted': true, 'http.response.status': 499, 'http.request.method': method, 'http.request.remoteaddr': /^127\.0\.0\.1:\d+$/, 'vars.name': 'a/b' }])
    t.notOk(log.lines.some(({ level }) => level > 30))
  }
  await app.close()
  t.equal(completed(log).length, 1)
})

t.test('a client that goes away while it downloads is no error, and is told once', async t => {
  const { app, log } = await served(t, {}, await FilesystemDriver.open({ rootdirectory: t.testdir(), fsync: false }))
  const content = blob(Buffer.alloc(32 * 1024 * 1024, 'download'))
  await pushBlob(t, app, 'a/b', content)
  log.text = ''
  const { connection } = await connected(app)
  connection.send(`GET /v2/a/b/blobs/${content.digest} HTTP/1.1\r\nhost: a\r\n\r\n`)
  await once(connection.socket, 'data')
  connection.abort()
  await log.logged('response completed')
  const [line, ...others] = completed(log)
  t.same(others, [])
  t.match(line, { level: 30, 'http.response.aborted': true, 'http.response.status': 200, 'vars.digest': content.digest })
  t.ok(Number(line?.['http.response.written']) > 0 && Number(line?.['http.response.written']) < content.size)
  t.notOk(log.lines.some(({ level }) => level > 30))
})

t.test('with keep-alive and pipelining every answer has its own line, in order', async t => {
  const { app, log } = await served(t)
  const { connection } = await connected(app)
  connection.send(Array.from({ length: 5 }, (_, i) => `GET /v2/a/tags/list?n=${i} HTTP/1.1\r\nhost: a\r\n\r\n`).join(''))
  for (let i = 0; i < 5; i++) await connection.answer()
  t.match(completed(log).map(line => line['http.request.uri']), Array.from({ length: 5 }, (_, i) => `/v2/a/tags/list?n=${i}`))
  t.notOk(log.text.includes('aborted'))
})

t.test('what storage breaks off in the middle of a download is an error', async t => {
  const { app, log } = await served(t, {}, new BreakingDriver())
  const content = blob(Buffer.alloc(1024 * 1024, 'broken'))
  await pushBlob(t, app, 'a/b', content)
  log.text = ''
  const { connection } = await connected(app)
  connection.send(`GET /v2/a/b/blobs/${content.digest} HTTP/1.1\r\nhost: a\r\n\r\n`)
  await once(connection.socket, 'close')
  await log.logged('response completed with error')
  t.match(completed(log), [{ level: 50, 'err.code': 'unknown', 'err.cause': /disk is gone/, 'http.response.status': 200 }])
})

t.test('where only errors are logged a request that goes well leaves nothing, and one that fails its whole line', async t => {
  const { app, log, driver } = await served(t)
  log.text = ''
  log.logger.level = 'error'
  t.equal((await app.inject('/v2/')).statusCode, 200)
  t.equal(log.text, '')
  driver.before = async () => { throw new Error('disk is gone') }
  t.equal((await app.inject('/v2/a/tags/list')).statusCode, 500)
  await log.logged('response completed with error')
  t.match(completed(log), [{ level: 50, 'err.code': 'unknown', 'http.response.status': 500, 'http.response.duration': /s$/, 'http.request.uri': '/v2/a/tags/list', 'vars.name': 'a' }])
  t.equal(log.lines.length, 1)
})

t.test('where only errors are logged a download that breaks off is one', async t => {
  const { app, log } = await served(t, {}, new BreakingDriver())
  const content = blob(Buffer.alloc(1024 * 1024, 'broken'))
  await pushBlob(t, app, 'a/b', content)
  log.text = ''
  log.logger.level = 'error'
  const { connection } = await connected(app)
  connection.send(`GET /v2/a/b/blobs/${content.digest} HTTP/1.1\r\nhost: a\r\n\r\n`)
  await once(connection.socket, 'close')
  await log.logged('response completed with error')
  t.match(completed(log), [{ level: 50, 'err.code': 'unknown', 'err.cause': /disk is gone/, 'http.response.status': 200 }])
})
