import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../schemas/config/index.js'
import { Collector } from './helpers/collector.js'
import type { CollectedSpan } from './helpers/collector.js'
import { Receiver } from './helpers/receiver.js'
import { startProduct } from './helpers/product.js'
import type { Product } from './helpers/product.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const HEADERS = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=value' }

interface Traced { readonly product: Product, readonly collector: Collector }

/** The built product with an environment of its own. */
async function traced (t: Test, environment: Record<string, string> = {}, config: RegistryConfigInput = {}, directory = t.testdir()): Promise<Traced> {
  const collector = await Collector.start(t)
  const complete = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '20', ...environment }
  Object.assign(process.env, complete)
  const product = await startProduct(t, directory, { storage: { inmemory: {}, cache: { blobdescriptor: 'inmemory' } }, ...config })
  for (const name of Object.keys(complete)) Reflect.deleteProperty(process.env, name)
  return { product, collector }
}

const digestOf = (content: string): string => `sha256:${createHash('sha256').update(content).digest('hex')}`

async function push (url: string, content: string, headers: Record<string, string> = {}): Promise<string> {
  const digest = digestOf(content)
  const { status } = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${digest}`, { method: 'POST', body: content, headers: { 'content-type': 'application/octet-stream', ...headers } })
  if (status !== 201) throw new Error(`status ${status}`)
  return digest
}

const isIn = ({ traceId }: { readonly traceId: string }) => (span: CollectedSpan): boolean => span.traceId === traceId

for (const protocol of ['http/protobuf', 'http/json']) {
  t.test(`a push is one trace, from the client that began it to the receiver of its event (${protocol})`, async t => {
    const receiver = await Receiver.start(t)
    const endpoint = receiver.url.replace('http://', 'http://user:word@')
    const { product, collector } = await traced(t, { OTEL_EXPORTER_OTLP_PROTOCOL: protocol }, { notifications: { endpoints: [{ name: 'hook', url: endpoint, timeout: '5s', threshold: 3, backoff: '1s' }] } })
    const digest = await push(product.url, 'a layer', { ...HEADERS, 'user-agent': `agent ${'x'.repeat(2000)}`, baggage: 'secret=1' })
    const route = '/v2/{name}/blobs/uploads/'
    const request = await collector.span(`POST ${route}`)
    t.match(request, {
      traceId: TRACE,
      parentSpanId: PARENT,
      kind: 2,
      status: 0,
      attributes: {
        'http.request.method': 'POST',
        'http.route': route,
        'http.response.status_code': 201,
        'url.scheme': 'http',
        'url.path': '/v2/team/app/blobs/uploads/',
        'url.query': `digest=${digest}`,
        'server.address': '127.0.0.1',
        'server.port': Number(product.host.split(':')[1]),
        'client.address': '127.0.0.1',
        'network.protocol.version': '1.1',
        'user_agent.original': /^agent x{506}$/,
        'http.request.body.size': 7,
        'oci.repository': 'team/app'
      },
      resource: { 'service.name': 'distribution', 'telemetry.sdk.language': 'nodejs' }
    })
    t.match(await collector.span('Move', isIn(request)), { parentSpanId: request.spanId, attributes: { 'io.cncf.distribution.storage.driver.name': 'inmemory' } })
    t.match(await collector.span('Writer.Close', isIn(request)), { attributes: { 'io.cncf.distribution.storage.content.length': 7 } })
    const delivery = await collector.span('deliver event')
    t.match(delivery, {
      traceId: TRACE,
      parentSpanId: request.spanId,
      kind: 3,
      attributes: { 'oci.event.endpoint': 'hook', 'oci.event.action': 'push', 'url.full': receiver.url.replace(/\?.*/, ''), 'http.response.status_code': 200 }
    })
    const [{ headers, body } = { headers: {}, body: '' }] = await receiver.received(1)
    t.match(headers, { traceparent: `00-${TRACE}-${delivery.spanId}-01`, tracestate: 'vendor=value' })
    t.notOk('baggage' in headers, 'what a client says is not for everybody')
    t.notMatch(body, /trace/, 'the event has the fields of docker\'s registry')
    await product.logged(new RegExp(`response completed.*trace_id="?${TRACE}"? span_id="?${request.spanId}`))
    t.equal(await product.stop(), 0)
  })
}

t.test('what is not there is no error, and its path no route', async t => {
  const { product, collector } = await traced(t)
  t.equal((await fetch(`${product.url}/v2/team/app/manifests/none`)).status, 404)
  const missing = await collector.span('GET /v2/{name}/manifests/{reference}')
  t.match(missing, { status: 0, events: [], attributes: { 'http.response.status_code': 404, 'oci.error.code': 'MANIFEST_UNKNOWN', 'oci.reference': 'none' } })
  t.notOk('error.type' in missing.attributes)
  t.match(await collector.span('GetContent', isIn(missing)), { status: 0 })
  t.equal((await fetch(`${product.url}/v2/team/app/nothing/of/that/kind`)).status, 404)
  t.match(await collector.span('GET /v2/*'), { status: 0, attributes: { 'url.path': '/v2/team/app/nothing/of/that/kind' } }, 'no name of a client becomes the name of a route')
})

t.test('a client that goes away is no error', async t => {
  const { product, collector } = await traced(t)
  const [host = '', port = ''] = product.host.split(':')
  const socket = connect(Number(port), host)
  socket.write('PUT /v2/a/manifests/1 HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n')
  await new Promise(resolve => { socket.once('data', resolve) })
  socket.destroy()
  const span = await collector.span('PUT /v2/{name}/manifests/{reference}')
  t.match(span, { status: 0, events: [], attributes: { 'oci.request.aborted': true } })
  t.notOk('http.response.status_code' in span.attributes)
})

t.test('requests on one connection have a trace each, and so have those that overlap', async t => {
  const { product, collector } = await traced(t)
  const digest = await push(product.url, 'shared')
  for (let i = 0; i < 5; i++) await (await fetch(`${product.url}/v2/`)).text()
  await Promise.all(Array.from({ length: 20 }, async () => { await (await fetch(`${product.url}/v2/team/app/blobs/${digest}`)).text() }))
  const name = 'GET /v2/{name}/blobs/{digest}'
  const isAsked = ({ name }: CollectedSpan): boolean => name === 'cache get'
  while (collector.spans.filter(span => span.name === name).length < 20) await collector.requested(collector.requests.length + 1)
  const roots = collector.spans.filter(({ kind }) => kind === 2)
  t.equal(new Set(roots.map(({ traceId }) => traceId)).size, roots.length)
  t.same(roots.filter(({ parentSpanId }) => parentSpanId !== ''), [])
  for (const root of roots.filter(span => span.name === name)) {
    t.match(collector.spans.filter(isIn(root)).filter(isAsked), [{ parentSpanId: root.spanId, attributes: { 'oci.cache.hit': true } }])
  }
})

t.test('access is shown with what was asked for, and not who asked', async t => {
  const directory = t.testdir({ htpasswd: 'ann:$2y$05$B5vfp6ZZCFW.kgIUmP.UOe9NR3nMHn8/agmQNxNhmNcWyhAPr9Gge\n' })
  const { product, collector } = await traced(t, {}, { auth: { htpasswd: { realm: 'r', path: join(directory, 'htpasswd') } } }, directory)
  t.equal((await fetch(`${product.url}/v2/team/app/tags/list`, { headers: { authorization: `Basic ${Buffer.from('ann:wrong').toString('base64')}` } })).status, 401)
  const request = await collector.span('GET /v2/{name}/tags/list')
  const access = await collector.span('authorize')
  t.match(access, { traceId: request.traceId, parentSpanId: request.spanId, status: 0, attributes: { 'oci.access.scopes': ['repository:team/app:pull'], 'oci.access.granted': false, 'oci.error.code': 'UNAUTHORIZED' } })
  t.notMatch(JSON.stringify(collector.spans), /ann|wrong/)
})

t.test('the environment has the last word: service, resource, sampler, parents', async t => {
  const { product, collector } = await traced(t, { OTEL_SERVICE_NAME: 'images', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test', OTEL_TRACES_SAMPLER: 'parentbased_always_off', OTEL_EXPORTER_OTLP_HEADERS: 'x-key=1' })
  for (let i = 0; i < 3; i++) await (await fetch(`${product.url}/v2/`)).text()
  await (await fetch(`${product.url}/v2/`, { headers: HEADERS })).text()
  const span = await collector.span('GET /v2/')
  t.match(span, { traceId: TRACE, resource: { 'service.name': 'images', 'deployment.environment.name': 'test' } })
  t.equal(await product.stop(), 0)
  t.equal(collector.spans.length, 1, 'only what somebody else has begun')
  t.match(collector.requests[0], { 'x-key': '1', path: '/v1/traces' })
})

t.test('every worker sends its own', async t => {
  const directory = t.testdir()
  const { product, collector } = await traced(t, {}, { storage: { filesystem: { rootdirectory: directory } }, http: { workers: '2' } }, directory)
  const serving = new Set<unknown>()
  while (serving.size < 2) {
    await (await fetch(`${product.url}/v2/`, { headers: { connection: 'close' } })).text()
    for (const { resource } of collector.spans) serving.add(resource['process.pid'])
  }
  t.notOk(serving.has(product.pid))
  t.equal(new Set(collector.spans.map(({ resource }) => resource['service.instance.id'])).size, 2)
  t.equal(await product.stop(), 0)
})

for (const off of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
  t.test(`nothing is traced with ${JSON.stringify(off)}`, async t => {
    const { product, collector } = await traced(t, off)
    await (await fetch(`${product.url}/v2/`, { headers: HEADERS })).text()
    t.equal(await product.stop(), 0)
    t.equal(collector.requests.length, 0)
    t.notMatch(product.log, /trace/i)
  })
}
