import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { asOciError } from '../../plugins/errors.js'
import { registry } from '../../registry.js'
import { OciError, OciErrors } from '../../services/errors/oci-error.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { FaultDriver, diskFull } from '../helpers/fault-driver.js'
import type { Operation } from '../helpers/fault-driver.js'
import { blob, image, pushBlob, pushManifest } from '../helpers/images.js'

function failure (message: string, fields: object = {}): Error {
  return Object.assign(new Error(message), fields)
}

t.test('an error that is ours already stays as it is', async t => {
  const error = new OciError('DENIED')
  t.equal(asOciError(error), error)
  const several = new OciErrors([new OciError('MANIFEST_BLOB_UNKNOWN', { detail: 'a' }), new OciError('MANIFEST_BLOB_UNKNOWN', { detail: 'b' })])
  t.equal(asOciError(several), several)
})

t.test('an error made by another copy of the package is known by its brand', async t => {
  const foreign = Object.assign(new Error('denied'), { [Symbol.for('fastify-oci-registry.OciError')]: true, code: 'DENIED', status: 403 })
  t.equal(asOciError(foreign), foreign)
})

const MAPPED: Array<[number, number, string]> = [
  [400, 400, 'UNSUPPORTED'], [401, 401, 'UNAUTHORIZED'], [403, 403, 'DENIED'], [404, 404, 'NAME_UNKNOWN'], [405, 405, 'UNSUPPORTED'],
  [413, 413, 'SIZE_INVALID'], [415, 415, 'UNSUPPORTED'], [416, 416, 'RANGE_INVALID'], [418, 418, 'UNSUPPORTED'], [429, 429, 'TOOMANYREQUESTS'],
  [500, 500, 'UNKNOWN'], [501, 500, 'UNKNOWN'], [502, 500, 'UNKNOWN'], [503, 503, 'UNAVAILABLE'], [599, 500, 'UNKNOWN'],
  [200, 500, 'UNKNOWN'], [302, 500, 'UNKNOWN'], [0, 500, 'UNKNOWN'], [Number.NaN, 500, 'UNKNOWN']
]

for (const [thrown, status, code] of MAPPED) {
  t.test(`an error with status ${thrown} is answered ${status} ${code} (R-003)`, async t => {
    const cause = failure('why it failed', { statusCode: thrown })
    const error = asOciError(cause)
    t.equal(error.status, status)
    t.equal(error.code, code)
    t.equal(error.cause, cause)
    t.equal(error.entries()[0]?.message.includes('why it failed'), status < 500)
  })
}

t.test('an error without a usable status is UNKNOWN and keeps its message to itself', async t => {
  for (const error of [failure('secret'), failure('secret', { statusCode: '404' }), failure('secret', { status: 404 }), failure('secret', { code: 'ENOENT' })]) {
    t.same(asOciError(error).entries(), [{ code: 'UNKNOWN', message: 'unknown error' }])
    t.equal(asOciError(error).status, 500)
  }
})

t.test('a request that does not match its schema is 400 and says where', async t => {
  const error = asOciError(failure('querystring/n must be array', { statusCode: 400, code: 'FST_ERR_VALIDATION', validation: [{}] }))
  t.equal(error.status, 400)
  t.same(error.entries(), [{ code: 'UNSUPPORTED', message: 'invalid request', detail: 'querystring/n must be array' }])
})

type Hook = 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler' | 'onSend'

/** A host whose hook fails for every request, as a guard or a rate limiter would. */
async function hostThatThrows (t: Test, hook: Hook, error: unknown, headers: Record<string, string> = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  let hasThrown = false
  const fail = async (_request: unknown, reply: FastifyReply): Promise<never | undefined> => {
    // The answer to a failed onSend passes onSend again.
    if (hook === 'onSend' && hasThrown) return
    hasThrown = true
    reply.headers(headers)
    throw error
  }
  if (hook === 'onRequest') app.addHook('onRequest', fail)
  if (hook === 'preParsing') app.addHook('preParsing', fail)
  if (hook === 'preValidation') app.addHook('preValidation', fail)
  if (hook === 'preHandler') app.addHook('preHandler', fail)
  if (hook === 'onSend') app.addHook('onSend', fail)
  await app.register(registry, IN_MEMORY)
  await app.ready()
  return app
}

for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onSend'] as const) {
  for (const [thrown, status, code] of [[401, 401, 'UNAUTHORIZED'], [403, 403, 'DENIED'], [429, 429, 'TOOMANYREQUESTS'], [418, 418, 'UNSUPPORTED'], [503, 503, 'UNAVAILABLE'], [500, 500, 'UNKNOWN']] as const) {
    t.test(`what a host throws in ${hook} with ${thrown} is in the envelope, with the headers it set (R-003, R-010)`, async t => {
      const app = await hostThatThrows(t, hook, failure('thrown by the host', { statusCode: thrown }), { 'retry-after': '7', 'www-authenticate': 'Basic realm="host"' })
      const urls = ['/v2/', '/v2/_catalog', '/v2/team/app/manifests/1.0', '/v2/team/app/tags/list', '/v2/nowhere']
      for (const url of hook === 'onSend' ? urls.slice(0, 1) : urls) {
        const response = await app.inject(url)
        t.same(errorCodes(t, response, status), [code], url)
        t.equal(response.headers['retry-after'], '7')
        t.equal(response.headers['www-authenticate'], 'Basic realm="host"')
        t.equal(response.body.includes('thrown by the host'), status < 500)
      }
    })
  }
}

t.test('a host may throw our own errors', async t => {
  const app = await hostThatThrows(t, 'preHandler', new OciError('DENIED', { detail: { quota: 'exceeded' }, headers: { 'x-quota': '0' } }))
  const response = await app.inject({ method: 'POST', url: '/v2/team/app/blobs/uploads/' })
  t.same(errorCodes(t, response, 403), ['DENIED'])
  t.same(response.json<ErrorBody>().errors[0]?.detail, { quota: 'exceeded' })
  t.equal(response.headers['x-quota'], '0')
})

t.test('what is thrown need not be an Error', async t => {
  for (const thrown of ['text', { statusCode: 403 }, 5, { toString: null }]) {
    const app = await hostThatThrows(t, 'preHandler', thrown)
    const response = await app.inject('/v2/')
    t.ok(response.statusCode >= 400, String(response.statusCode))
    t.equal(response.headers['content-type'], 'application/json')
    t.equal(response.json<ErrorBody>().errors.length, 1)
  }
})

/** A registry with one image and one blob whose storage then fails at one operation. */
async function failing (t: Test, operation: Operation): Promise<FastifyInstance> {
  const driver = new FaultDriver(new MemoryDriver())
  const app = await build(t, { ...IN_MEMORY, instances: { driver } })
  await pushManifest(t, app, 'team/app', image(), '1.0')
  for (const content of [SMALL, LARGE]) await pushBlob(t, app, 'team/app', content)
  driver.before = call => { if (call.operation === operation) throw diskFull(call) }
  return app
}

const SMALL = blob('bytes')
/** Streamed. */
const LARGE = blob('x'.repeat(100_000))
const { digest } = SMALL
const FAILING: Array<[Operation, 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE', string]> = [
  ['read', 'GET', '/manifests/1.0'],
  ['stat', 'GET', `/blobs/${digest}`],
  ['read', 'GET', `/blobs/${digest}`],
  ['createReadStream', 'GET', `/blobs/${LARGE.digest}`],
  ['list', 'GET', '/tags/list'],
  ['list', 'GET', `/referrers/${digest}`],
  ['write', 'POST', '/blobs/uploads/'],
  ['openWriter', 'POST', `/blobs/uploads/?digest=${digest}`],
  ['writer.write', 'POST', `/blobs/uploads/?digest=${digest}`],
  ['writer.close', 'POST', `/blobs/uploads/?digest=${digest}`],
  ['write', 'PUT', '/manifests/2.0'],
  ['delete', 'DELETE', `/blobs/${digest}`]
]

for (const [operation, method, tail] of FAILING) {
  t.test(`when storage fails at ${operation}, ${method} ${tail.slice(0, 24)} is a 500 without path or reason`, async t => {
    const app = await failing(t, operation)
    const payload = tail.startsWith('/manifests') ? image().bytes : 'bytes'
    const headers = { 'content-type': image().mediaType }
    const response = await app.inject({ method, url: `/v2/team/app${tail}`, ...(method === 'POST' || method === 'PUT' ? { payload, headers } : {}) })
    t.same(errorCodes(t, response, 500), ['UNKNOWN'])
    t.same(response.json(), { errors: [{ code: 'UNKNOWN', message: 'unknown error' }] })
    t.equal(response.headers['content-length'], String(response.rawPayload.length))
    for (const name of ['etag', 'cache-control', 'content-range', 'location']) t.notOk(response.headers[name], name)
  })
}

t.test('a failure of ours is logged with its cause, a refusal is not', async t => {
  const lines: Array<{ level: number, msg: string, err?: { message: string } }> = []
  const app = Fastify({ logger: { level: 'warn', stream: { write (line: string) { lines.push(JSON.parse(line) as typeof lines[number]) } } } })
  t.teardown(async () => { await app.close() })
  const driver = new FaultDriver(new MemoryDriver())
  await app.register(registry, { ...IN_MEMORY, instances: { driver } })
  await app.inject('/v2/team/app/manifests/1.0')
  t.same(lines, [])
  driver.before = call => { throw diskFull(call) }
  await app.inject('/v2/team/app/manifests/1.0')
  t.match(lines, [{ level: 50, msg: 'request failed', err: { message: /ENOSPC/ } }])
  t.equal(lines.length, 1)
})
