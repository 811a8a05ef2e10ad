import { once } from 'node:events'
import { connect, constants } from 'node:http2'
import type { ClientHttp2Stream } from 'node:http2'
import { pino } from 'pino'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryHandle, RegistryOptions } from '../../registry.js'
import type { ServerOptions } from '../../server.js'
import { parseConfig } from '../../services/config/parse.js'
import { ConfigError } from '../../services/errors/config-error.js'
import { startRegistry } from '../../testing.js'
import { basic, htpasswdFile } from '../helpers/auth.js'
import { hangingUpload } from '../helpers/hanging-upload.js'
import { blob } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'
import { RawConnection, rawRequest } from '../helpers/raw-http.js'
import type { RawAnswer } from '../helpers/raw-http.js'

type Limits = NonNullable<NonNullable<RegistryOptions['http']>['limits']>
interface Limited { readonly host: string, readonly numbers: () => unknown }

async function limited (t: Test, limits: Limits, options: ServerOptions = {}, http: RegistryOptions['http'] = {}): Promise<Limited> {
  let handle: RegistryHandle | undefined
  const registry = await startRegistry({ ...options, http: { ...http, relativeurls: true, limits }, onReady: ready => { handle = ready } })
  t.teardown(async () => { await registry.close() })
  return { host: registry.host, numbers: () => handle?.debug.read()['limits'] }
}

const UPLOADS = '/v2/team/app/blobs/uploads/'

async function started (host: string): Promise<string> {
  return (await rawRequest(host, 'POST', UPLOADS, { 'content-length': '0' })).headers.get('location') ?? ''
}

/** A connection on which an upload of ten bytes has begun; `finish` sends them. */
async function hanging (t: Test, host: string): Promise<{ connection: RawConnection, finish: () => Promise<RawAnswer> }> {
  const path = await started(host)
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  connection.send(`PATCH ${path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n`)
  t.equal((await connection.answer()).status, 100, 'it was let in')
  return { connection, finish: async () => { connection.send('0123456789'); return await connection.answer() } }
}

/** Asks to send a body, and shows what it is told before it does. */
async function asked (t: Test, host: string): Promise<RawAnswer> {
  const path = await started(host)
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  connection.send(`PATCH ${path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000000000\r\n\r\n`)
  return await connection.answer()
}

function refused (t: Test, { status, headers, body }: RawAnswer, expected: number): void {
  t.equal(status, expected, 'no 100 Continue before it')
  t.match(headers.get('retry-after'), /^[1-9]\d*$/)
  t.match(JSON.parse(body), { errors: [{ code: expected === 429 ? 'TOOMANYREQUESTS' : 'UNAVAILABLE', message: String, detail: String }] })
  t.equal(headers.get('docker-distribution-api-version'), 'registry/2.0')
}

for (const [which, limits, status] of [['in all', { uploads: { max: 2 } }, 503], ['of one client', { uploads: { perclient: 2 } }, 429]] as const) {
  t.test(`one upload too many ${which} is refused before its body is asked for, and let in when another is over`, async t => {
    const { host, numbers } = await limited(t, limits)
    const [first] = [await hanging(t, host), await hanging(t, host)]
    t.match(numbers(), { uploads: 2 })
    refused(t, await asked(t, host), status)
    t.equal((await rawRequest(host, 'GET', '/v2/')).status, 200, 'reads go on')
    t.equal((await first.finish()).status, 202)
    const third = await hanging(t, host)
    t.equal((await third.finish()).status, 202)
  })

  t.test(`an upload that is cut off makes room ${which}`, async t => {
    const { host, numbers } = await limited(t, limits)
    const [first] = [await hanging(t, host), await hanging(t, host)]
    first.connection.abort()
    for (let answer = await asked(t, host); answer.status !== 100; answer = await asked(t, host)) refused(t, answer, status)
    t.match(numbers(), { uploads: 2 })
  })
}

t.test('an upload in one request is one too; a start without a body is none, nor is a mount', async t => {
  const { host, numbers } = await limited(t, { uploads: { max: 1 } })
  const { finish } = await hanging(t, host)
  const { digest } = blob('x')
  refused(t, await rawRequest(host, 'POST', `${UPLOADS}?digest=${digest}`, { 'content-length': '1' }, 'x'), 503)
  t.equal((await rawRequest(host, 'POST', `${UPLOADS}?mount=${digest}&from=other`, { 'content-length': '0' })).status, 202)
  t.equal((await finish()).status, 202)
  t.equal((await rawRequest(host, 'POST', `${UPLOADS}?digest=${digest}`, { 'content-length': '1' }, 'x')).status, 201)
  t.match(numbers(), { refused: { uploads: 1 }, uploads: 0 })
})

t.test('a refused body does not cost the connection', async t => {
  const { host } = await limited(t, { uploads: { max: 1 } })
  await hanging(t, host)
  const path = await started(host)
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  connection.send(`PATCH ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n`)
  refused(t, await connection.answer(), 503)
  t.equal((await connection.answer()).status, 200)
})

t.test('more requests than a client may make are a 429 until its interval is over; what is not the registry is not counted', async t => {
  const { host, numbers } = await limited(t, { requests: { max: 3, interval: '1h' } })
  for (let i = 0; i < 3; i++) t.equal((await rawRequest(host, 'GET', '/v2/')).status, 200)
  const answer = await rawRequest(host, 'GET', '/v2/')
  refused(t, answer, 429)
  t.ok(Number(answer.headers.get('retry-after')) > 3500)
  t.equal((await rawRequest(host, 'HEAD', '/v2/team/app/manifests/latest')).status, 429)
  t.equal((await rawRequest(host, 'GET', '/v2/', { 'x-forwarded-for': '1.2.3.4', authorization: basic('new', 'name') })).status, 429, 'what a client claims makes it nobody else')
  t.equal((await rawRequest(host, 'GET', '/')).status, 200)
  t.match(numbers(), { refused: { requests: 3 } })
})

t.test('who has logged in is counted by name, whatever the address', async t => {
  const path = await htpasswdFile(t, { ann: 'secret', bob: 'other' })
  const { host } = await limited(t, { requests: { max: 2, interval: '1h' } }, { auth: { htpasswd: { realm: 'Test', path } } })
  const status = async (user: string, password: string): Promise<number> => (await rawRequest(host, 'GET', '/v2/', { authorization: basic(user, password) })).status
  t.same([await status('ann', 'secret'), await status('ann', 'secret'), await status('ann', 'secret')], [200, 200, 429])
  t.same([await status('bob', 'other'), await status('ann', 'wrong')], [200, 401])
})

t.test('a heap that is too large refuses everything of the registry, before access is asked, and nothing else', async t => {
  const path = await htpasswdFile(t, { ann: 'secret' })
  const { host, numbers } = await limited(t, { heap: '1MB', retryafter: '7s' }, { auth: { htpasswd: { realm: 'Test', path } } })
  let answer = await rawRequest(host, 'GET', '/v2/')
  // The first look is a second after the start.
  while (answer.status === 401) answer = await rawRequest(host, 'GET', '/v2/')
  refused(t, answer, 503)
  t.equal(answer.headers.get('retry-after'), '7')
  t.equal((await rawRequest(host, 'GET', '/')).status, 200)
  t.match(numbers(), { refused: { heap: 1 } })
})

t.test('without limits there are none, and no numbers of them', async t => {
  const { host, numbers } = await limited(t, {})
  await Promise.all(Array.from({ length: 20 }, async () => await hanging(t, host)))
  t.equal(numbers(), undefined)
})

t.test('limits that cannot be meant are refused, a line each', async t => {
  const limits = { requests: { max: 1, interval: '0s' }, eventloopdelay: '-1s', retryafter: '-5s' }
  t.throws(() => parseConfig({ storage: { inmemory: {} }, http: { limits } }), new ConfigError([
    'http.limits.requests.interval: at least 1ms is needed, not "0s"',
    'http.limits.eventloopdelay: nothing below 0s is needed, not "-1s"',
    'http.limits.retryafter: nothing below 0s is needed, not "-5s"'
  ]))
})

t.test('a process that is behind refuses requests, and serves again when it has caught up', async t => {
  const { host, numbers } = await limited(t, { eventloopdelay: '20ms' })
  const until = performance.now() + 1500
  while (performance.now() < until);
  let answer = await rawRequest(host, 'GET', '/v2/')
  refused(t, answer, 503)
  while (answer.status === 503) answer = await rawRequest(host, 'GET', '/v2/')
  t.equal(answer.status, 200)
  t.ok((numbers() as { refused: { eventLoopDelay: number } }).refused.eventLoopDelay > 0)
})

t.test('the audit does not take a limit for a refusal of access, nor does the log take it for a failure', async t => {
  const lines: string[] = []
  const logger = pino({ level: 'info' }, { write: line => { lines.push(line) } })
  const { host } = await limited(t, { requests: { max: 1, interval: '1h' } }, { logger })
  for (const method of ['GET', 'GET', 'HEAD']) await rawRequest(host, method, '/v2/a/tags/list')
  refused(t, await rawRequest(host, 'POST', UPLOADS, { 'content-length': '0' }), 429)
  const parsed = lines.map(line => JSON.parse(line) as { level: number, audit?: object, 'http.response.status'?: number })
  t.match(parsed.flatMap(({ audit }) => audit ?? []), [{ action: 'push', result: 'failed', status: 429 }])
  // The first request finds no repository, which is an error in the log.
  t.equal(parsed.filter(({ level, 'http.response.status': status }) => level >= 40 && status !== 404).length, 1, 'one warning for all')
})

t.test('over HTTP/2 a body that is too much is refused, and makes room when it is cut off', async t => {
  const { host, numbers } = await limited(t, { uploads: { max: 1 } }, {}, { h2c: { enabled: true } })
  const session = connect(`http://${host}`)
  t.teardown(() => { session.destroy() })
  const begin = async (): Promise<ClientHttp2Stream> => {
    const stream = session.request({ ':method': 'PATCH', ':path': await started(host) })
    stream.on('error', () => {})
    stream.write('01234')
    return stream
  }
  const { finish } = await hanging(t, host)
  t.match(await once(await begin(), 'response'), [{ ':status': 503, 'retry-after': '5' }])
  t.equal((await finish()).status, 202)
  const stream = await begin()
  while ((numbers() as { uploads: number }).uploads === 0) await rawRequest(host, 'GET', '/v2/')
  refused(t, await asked(t, host), 503)
  stream.close(constants.NGHTTP2_CANCEL)
  for (let answer = await asked(t, host); answer.status !== 100; answer = await asked(t, host)) refused(t, answer, 503)
})

t.test('two processes of one server have one limit together', async t => {
  const product = await startProduct(t, t.testdir(), { http: { workers: '2', limits: { uploads: { max: 1 }, requests: { max: 100, interval: '1h' } } } })
  const { connection } = await hangingUpload(t, product, Buffer.alloc(100_000), 50_000)
  // Connections go to the processes in turn.
  for (let i = 0; i < 4; i++) {
    const answer = await rawRequest(product.host, 'POST', `${UPLOADS}?digest=${blob('x').digest}`, { 'content-length': '1' }, 'x')
    refused(t, answer, 503)
  }
  connection.send(Buffer.alloc(50_000))
  t.equal((await connection.answer()).status, 202)
  t.equal((await rawRequest(product.host, 'POST', `${UPLOADS}?digest=${blob('x').digest}`, { 'content-length': '1' }, 'x')).status, 201)
  // Seven so far.
  for (let i = 7; i < 100; i++) t.equal((await rawRequest(product.host, 'GET', '/v2/')).status, 200)
  for (let i = 0; i < 2; i++) refused(t, await rawRequest(product.host, 'GET', '/v2/'), 429)
  t.match(product.log, /requests are refused: too many uploads at a time/)
  t.equal(await product.stop(), 0)
})
