import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import Fastify from 'fastify'
import type { FastifyBaseLogger, FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../index.js'
import { IN_MEMORY } from '../helpers/build.js'
import { CapturedLog } from '../helpers/captured-log.js'
import { blob, image, pushBlob, pushManifest } from '../helpers/images.js'

/** A host with what `prepare` puts into it, and what it warns of. */
async function host (t: Test, prepare: (app: FastifyInstance) => unknown, options: FastifyServerOptions = {}): Promise<{ app: FastifyInstance, warnings: string[] }> {
  const log = new CapturedLog()
  const loggerInstance: FastifyBaseLogger = log.logger
  const app: FastifyInstance = Fastify({ ...options, loggerInstance })
  t.teardown(async () => { await app.close() })
  await prepare(app)
  await app.register(registry, IN_MEMORY)
  app.get('/own', async () => ({ own: 'x'.repeat(5000) }))
  await app.ready()
  return { app, warnings: log.lines.filter(({ level }) => level === 40).map(({ msg }) => String(msg)) }
}

const ACCEPTS = { 'accept-encoding': 'gzip, br' }

t.test('a host that compresses everything does not compress what has a digest, nor decompress what is pushed', async t => {
  const { app, warnings } = await host(t, async app => { await app.register(compress, { threshold: 0, customTypes: /.*/ }) })
  t.equal((await app.inject({ url: '/own', headers: ACCEPTS })).headers['content-encoding'], 'br')
  const layer = blob('x'.repeat(100_000))
  const app1 = image('compressed')
  await pushManifest(t, app, 'team/app', app1, '1.0')
  const pushed = await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${layer.digest}`, payload: layer.bytes, headers: { 'content-encoding': 'gzip' } })
  t.equal(pushed.statusCode, 201)
  for (const [url, { bytes }] of [['/v2/team/app/manifests/1.0', app1], [`/v2/team/app/blobs/${layer.digest}`, layer]] as const) {
    const response = await app.inject({ url, headers: ACCEPTS })
    t.equal(response.headers['content-encoding'], undefined)
    t.equal(response.headers['content-length'], String(bytes.length))
    t.ok(response.rawPayload.equals(bytes))
  }
  t.equal((await app.inject({ url: `/v2/team/app/blobs/${layer.digest}`, headers: { ...ACCEPTS, range: 'bytes=0-9' } })).body, 'x'.repeat(10))
  t.same(warnings, [])
})

t.test('a host limits the rate of the registry, in an error body of ours', async t => {
  const { app, warnings } = await host(t, async app => { await app.register(rateLimit, { max: 2, timeWindow: 60_000 }) })
  t.same([(await app.inject('/v2/')).statusCode, (await app.inject('/v2/')).statusCode], [200, 200])
  const refused = await app.inject('/v2/')
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), { errors: [{ code: 'TOOMANYREQUESTS' }] })
  t.ok(refused.headers['retry-after'])
  t.same(warnings, [])
})

t.test('a host answers CORS for the registry too', async t => {
  const { app, warnings } = await host(t, async app => { await app.register(cors, { origin: 'https://ui.example', methods: ['GET', 'DELETE'] }) })
  const preflight = await app.inject({ method: 'OPTIONS', url: '/v2/team/app/tags/list', headers: { origin: 'https://ui.example', 'access-control-request-method': 'DELETE' } })
  t.equal(preflight.statusCode, 204)
  t.equal(preflight.headers['access-control-allow-methods'], 'GET, DELETE')
  t.equal((await app.inject({ url: '/v2/', headers: { origin: 'https://ui.example' } })).headers['access-control-allow-origin'], 'https://ui.example')
  t.same(warnings, [])
})

t.test('a host under pressure is unavailable with a code, and not for longer', async t => {
  let healthy = false
  const { app, warnings } = await host(t, async app => {
    await app.register(underPressure, { healthCheck: async () => healthy, healthCheckInterval: 20, retryAfter: 7 })
  })
  const refused = await app.inject('/v2/')
  t.equal(refused.statusCode, 503)
  t.equal(refused.headers['retry-after'], '7')
  t.match(refused.json(), { errors: [{ code: 'UNAVAILABLE' }] })
  healthy = true
  while ((await app.inject('/v2/')).statusCode === 503) await wait(20)
  await pushBlob(t, app, 'team/app', blob('x'))
  t.same(warnings, [])
})

t.test('a session in onRequest that looks things up is waited for, with the body still there', async t => {
  const { app, warnings } = await host(t, app => {
    app.decorateRequest('session', null)
    app.addHook('onRequest', async request => {
      await wait(5)
      Object.assign(request, { session: { user: 'alice' } })
    })
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const content = blob(Buffer.alloc(2_000_000, 'x'))
  const { port } = app.server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}/v2/team/app/blobs/uploads/?digest=${content.digest}`, { method: 'POST', body: content.bytes })
  t.equal(response.status, 201)
  t.same(warnings, [])
})

const WARNED: Array<[string, (app: FastifyInstance) => unknown, FastifyServerOptions, RegExp[]]> = [
  ['a short requestTimeout', () => {}, { requestTimeout: 30_000 }, [/^requestTimeout of the server is 30000 ms/]],
  ['a short handlerTimeout', () => {}, { handlerTimeout: 10_000 }, [/^handlerTimeout of the server is 10000 ms/]],
  ['a long requestTimeout', () => {}, { requestTimeout: 7_200_000 }, []],
  ['a preParsing hook for all', app => { app.addHook('preParsing', async function eat () {}) }, {}, [/^the host has a preParsing hook \(eat\) for all routes/]],
  ['a preParsing hook in another scope', app => { app.register(async scope => { scope.addHook('preParsing', async () => {}) }) }, {}, []],
  ['a plugin that adds hooks to each route', app => {
    app.addHook('onRoute', route => {
      route.onSend = async function squeeze (_request: unknown, _reply: unknown, payload: unknown) { return payload }
      route.preParsing = [async function unzip () {}]
    })
  }, {}, [/adds a preParsing hook \(unzip\)/, /adds an onSend hook \(squeeze\)/]],
  ['other hooks', app => { app.addHook('onRequest', async () => {}).addHook('onSend', async () => {}).addHook('preHandler', async () => {}) }, {}, []]
]

for (const [what, prepare, options, expected] of WARNED) {
  t.test(`a host with ${what} is warned ${expected.length === 0 ? 'of nothing' : 'once of each'}`, async t => {
    const { warnings } = await host(t, prepare, options)
    t.match(warnings, expected)
    t.equal(warnings.length, expected.length, warnings.join('\n'))
  })
}

t.test('several registries with storage of their own, by prefix and by host name', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(registry, { ...IN_MEMORY, prefix: '/a' })
  await app.register(registry, { storage: { filesystem: { rootdirectory: t.testdir() } }, http: { relativeurls: true }, prefix: '/b' })
  for (const host of ['a.example', 'b.example', 'c.example', 'd.example']) {
    await app.register(async scope => {
      scope.addHook('onRoute', route => { route.constraints = { ...route.constraints, host } })
      await scope.register(registry, IN_MEMORY)
    })
  }
  await pushManifest(t, app, 'team/app', image('a'), '1.0', '/a')
  await pushManifest(t, app, 'team/app', image('b'), '1.0', '/b')
  t.same((await app.inject('/a/v2/team/app/manifests/1.0')).rawPayload, image('a').bytes)
  t.same((await app.inject('/b/v2/team/app/manifests/1.0')).rawPayload, image('b').bytes)
  const config = blob('x')
  const pushed = await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${config.digest}`, headers: { host: 'a.example' }, payload: config.bytes })
  t.equal(pushed.statusCode, 201)
  const status = async (host: string): Promise<number> => (await app.inject({ url: `/v2/team/app/blobs/${config.digest}`, headers: { host } })).statusCode
  t.same([await status('a.example'), await status('d.example'), await status('other.example')], [200, 404, 404])
})

t.test('closing the host serves what is under way to its end', async t => {
  const app = Fastify({ keepAliveTimeout: 1 })
  let reached: () => void = () => {}
  const underWay = new Promise<void>(resolve => { reached = resolve })
  await app.register(registry, { ...IN_MEMORY, hooks: { beforePush: async () => { reached(); await wait(100) } } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const content = blob('x')
  const { port } = app.server.address() as AddressInfo
  const pushing = fetch(`http://127.0.0.1:${port}/v2/team/app/blobs/uploads/?digest=${content.digest}`, { method: 'POST', body: content.bytes })
  await underWay
  const closed = once(app.server, 'close')
  await app.close()
  t.equal((await pushing).status, 201)
  await closed
})
