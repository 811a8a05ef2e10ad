import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import type { RegistryOptions } from '../../registry.js'
import { DriverError } from '../../services/errors/driver-error.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { createHttpServer } from '../../services/http/http-server.js'
import { injectOverHttp2, openSession } from '../helpers/http2.js'
import { blob, pushBlob } from '../helpers/images.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { startRedis } from '../helpers/redis.js'

/** The SDK of a host: registered in the process, before the registry. */
const exporter = new InMemorySpanExporter()
const host = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
propagation.setGlobalPropagator(new W3CTraceContextPropagator())
trace.setGlobalTracerProvider(host)

t.beforeEach(() => { exporter.reset() })

async function build (t: Test, options: RegistryOptions & { prefix?: string }, app: FastifyInstance = Fastify()): Promise<FastifyInstance> {
  t.teardown(async () => { await app.close() })
  await app.register(registry, options)
  await app.ready()
  return app
}

const turn = async (): Promise<void> => { await new Promise<void>(resolve => { setImmediate(resolve) }) }
const named = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter(span => span.name === name)
const only = (name: string): ReadableSpan => {
  const [span] = named(name)
  if (span === undefined || named(name).length > 1) throw new Error(`${named(name).length} spans are called ${name}: ${exporter.getFinishedSpans().map(({ name }) => name).join(', ')}`)
  return span
}

async function push (t: Test, app: FastifyInstance): Promise<string> {
  const content = blob('content')
  await pushBlob(t, app, 'team/app', content)
  return content.digest
}

t.test('a host that traces by itself has the registry in its own trace, under the whole route', async t => {
  const app = Fastify()
  app.addHook('onRequest', (request, _reply, done) => {
    host.getTracer('host').startActiveSpan('the host', { kind: SpanKind.SERVER }, span => {
      request.raw.once('close', () => { span.end() })
      done()
    })
  })
  await build(t, { storage: { inmemory: {} }, prefix: '/containers' }, app)
  await app.inject('/containers/v2/team/app/tags/list')
  const span = only('GET /containers/v2/{name}/tags/list')
  t.equal(span.kind, SpanKind.INTERNAL)
  t.ok(span.parentSpanContext !== undefined && span.parentSpanContext.isRemote !== true)
  t.equal(only('List').parentSpanContext?.spanId, span.spanContext().spanId)
})

t.test('two registries in one server trace each their own', async t => {
  const app = Fastify()
  await app.register(registry, { storage: { inmemory: {} }, prefix: '/one' })
  await build(t, { storage: { inmemory: {} }, prefix: '/two' }, app)
  await app.inject('/one/v2/')
  await app.inject('/two/v2/')
  await app.inject('/elsewhere')
  t.same(exporter.getFinishedSpans().map(({ name }) => name), ['GET /one/v2/', 'GET /two/v2/'])
})

t.test('storage that fails is an error of its call and of the request, with its cause', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const app = await build(t, { instances: { driver } })
  driver.before = () => { throw new DriverError('failed', { driver: 'faulty', path: '/', detail: 'the disk is on fire' }) }
  t.equal((await app.inject('/v2/team/app/manifests/1')).statusCode, 500)
  for (const span of [only('GetContent'), only('GET /v2/{name}/manifests/{reference}')]) {
    t.match(span, { status: { code: SpanStatusCode.ERROR, message: /the disk is on fire/ }, attributes: { 'error.type': 'DriverError' } })
    t.match(span.events.map(({ name, attributes }) => [name, attributes?.['exception.message']]), [['exception', /the disk is on fire/]])
  }
})

t.test('a download that storage breaks off is an error; one that its client breaks off is none', async t => {
  const inner = new MemoryDriver()
  let breaks = true
  class Breaking extends FaultDriver {
    override async createReadStream (): Promise<Readable> {
      async function * some (): AsyncGenerator<Buffer> {
        yield Buffer.from('con')
        if (breaks) throw new Error('the cable is out')
        await new Promise(() => {})
      }
      return Readable.from(some())
    }
  }
  const app = await build(t, { instances: { driver: new Breaking(inner) } })
  // Smaller ones are not streamed.
  const large = blob('x'.repeat(100_000))
  const { digest } = large
  await pushBlob(t, app, 'team/app', large)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const download = async (signal?: AbortSignal): Promise<void> => {
    const { body } = await fetch(`${url}/v2/team/app/blobs/${digest}`, signal === undefined ? {} : { signal })
    const reader = body?.getReader()
    while (await reader?.read().then(({ done }) => !done) === true) if (!breaks) return await reader?.cancel()
  }
  await t.rejects(download())
  const name = 'GET /v2/{name}/blobs/{digest}'
  while (named(name).length === 0) await turn()
  t.match(only(name).status, { code: SpanStatusCode.ERROR, message: 'the cable is out' })
  breaks = false
  exporter.reset()
  await download()
  while (named(name).length === 0) await turn()
  t.match(only(name), { status: { code: SpanStatusCode.UNSET }, attributes: { 'oci.request.aborted': true, 'http.response.status_code': 200 } })
})

t.test('what is remembered in Redis is asked for over the network, and shown so', async t => {
  const redis = await startRedis(t)
  const app = await build(t, { storage: { inmemory: {}, cache: { blobdescriptor: 'redis' } }, redis: { addr: redis.addr } })
  const digest = await push(t, app)
  // The connection may still be on its way, and nobody waits for an entry to be there.
  do {
    await turn()
    exporter.reset()
    await app.inject(`/v2/team/app/blobs/${digest}`)
  } while (!named('cache get').some(({ attributes }) => attributes['oci.cache.hit'] === true))
  const request = only('GET /v2/{name}/blobs/{digest}')
  t.match(named('cache get').at(-1), { kind: SpanKind.CLIENT, attributes: { 'db.system.name': 'redis', 'oci.cache.hit': true, 'oci.digest': digest } })
  t.equal(named('cache get').at(-1)?.parentSpanContext?.spanId, request.spanContext().spanId)
})

t.test('work that belongs to no request is no trace', async t => {
  let ready: (() => Promise<unknown>) | undefined
  await build(t, { storage: { inmemory: {}, delete: { enabled: true } }, onReady: ({ verify }) => { ready = async () => await verify.runOnce() } })
  await ready?.()
  t.same(exporter.getFinishedSpans(), [])
})

t.test('streams of one connection of HTTP/2 have a trace each', async t => {
  const app = Fastify({ serverFactory: handler => createHttpServer(handler, { http2: true, keepAliveMs: 60_000, maxHeaderBytes: 64 * 1024 }) })
  await build(t, { storage: { inmemory: {} } }, app)
  const client = injectOverHttp2(app, await openSession(t, await app.listen({ host: '127.0.0.1', port: 0 })))
  await Promise.all([1, 2, 3, 4].map(async () => await client.inject('/v2/')))
  await client.inject('/v2/')
  while (named('GET /v2/').length < 5) await turn()
  t.equal(new Set(named('GET /v2/').map(span => span.spanContext().traceId)).size, 5)
  t.equal(named('GET /v2/')[0]?.attributes['network.protocol.version'], '2')
})

t.test('a broken traceparent begins a new trace', async t => {
  const app = await build(t, { storage: { inmemory: {} } })
  for (const traceparent of ['', 'x', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, `ff-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, 'a'.repeat(10_000)]) {
    exporter.reset()
    t.equal((await app.inject({ url: '/v2/', headers: { traceparent } })).statusCode, 200)
    t.equal(only('GET /v2/').parentSpanContext, undefined)
  }
})

t.test('a host\'s own access rules are asked once, with the request as it is, also where they fail', async t => {
  const asked: unknown[] = []
  const app = await build(t, {
    storage: { inmemory: {} },
    accessController (request, records) {
      asked.push(request.headers, records)
      if (request.headers['x-broken'] !== undefined) throw new Error('the session store is away')
      return { user: 'ann' }
    }
  })
  t.equal((await app.inject('/v2/team/app/tags/list')).statusCode, 404)
  t.match(only('authorize'), { status: { code: SpanStatusCode.UNSET }, attributes: { 'oci.access.granted': true, 'oci.access.scopes': ['repository:team/app:pull'] } })
  exporter.reset()
  t.equal((await app.inject({ url: '/v2/team/app/tags/list', headers: { 'x-broken': '1' } })).statusCode, 500)
  t.match(only('authorize'), { status: { code: SpanStatusCode.ERROR, message: 'the session store is away' } })
  t.equal(asked.length, 4)
})

t.test('an open registry stays open, and no more than it is: nobody explains where there is no access control', async t => {
  const app = await build(t, { storage: { inmemory: {} } })
  t.equal((await app.inject('/_oci/explain?repository=a&action=pull')).statusCode, 404)
  t.same(named('authorize'), [])
})

t.test('a key set that is asked for because of a request hears of its trace', async t => {
  const asked: IncomingHttpHeaders[] = []
  const server = createServer(({ headers }, response) => {
    asked.push(headers)
    response.end('{"keys":[]}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const jwksurl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  const app = await build(t, { storage: { inmemory: {} }, auth: { token: { realm: 'http://tokens/', service: 's', issuer: 'i', jwksurl, jwkscooldown: '1ms' } } })
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const authorization = `Bearer ${part({ alg: 'ES256', kid: 'unknown' })}.${part({ iss: 'i', aud: 's', exp: 4e9 })}.${Buffer.alloc(64).toString('base64url')}`
  while (named('load key set').length === 0) {
    await turn()
    t.equal((await app.inject({ url: '/v2/', headers: { authorization } })).statusCode, 401)
  }
  const span = only('load key set')
  t.match(span, { kind: SpanKind.CLIENT, attributes: { 'url.full': jwksurl } })
  t.match(asked.at(-1)?.traceparent, new RegExp(span.spanContext().spanId))
  t.notOk('traceparent' in (asked[0] ?? {}), 'at the start there is no request')
})
