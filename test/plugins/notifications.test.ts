import { once } from 'node:events'
import { connect, constants } from 'node:http2'
import { hostname } from 'node:os'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import type { RegistryHandle, RegistryOptions } from '../../registry.js'
import type { EventAction, RegistryEvent } from '../../services/notifications/event.js'
import { IN_MEMORY } from '../helpers/build.js'
import { blob, image, pushBlob, pushManifest, sha256 } from '../helpers/images.js'
import { RawConnection, rawRequest } from '../helpers/raw-http.js'

const ACTIONS: readonly EventAction[] = ['push', 'pull', 'mount', 'delete']

interface Listening { readonly app: FastifyInstance, readonly handle: RegistryHandle, readonly events: RegistryEvent[], next (count: number): Promise<RegistryEvent[]> }

/** A registry whose events are kept; `next` takes that many out, as soon as they are there. */
async function listening (t: Test, options: RegistryOptions & { prefix?: string } = {}, app: FastifyInstance = Fastify()): Promise<Listening> {
  t.teardown(async () => { await app.close() })
  const events: RegistryEvent[] = []
  let wake = (): void => {}
  let handle: RegistryHandle | undefined
  await app.register(registry, { ...IN_MEMORY, ...options, onReady: ready => { handle = ready } })
  await app.ready()
  if (handle === undefined) throw new Error('not ready')
  for (const action of ACTIONS) {
    handle.events.on(action, event => {
      events.push(event)
      wake()
    })
  }
  const next = async (count: number): Promise<RegistryEvent[]> => {
    while (events.length < count) await new Promise<void>(resolve => { wake = resolve })
    return events.splice(0, count)
  }
  return { app, handle, events, next }
}

t.test('a push tells what, where, who, from where and in which process', async t => {
  const accessController = { authorize: () => ({ user: 'alice' }) }
  const { app, next } = await listening(t, { instances: { accessController }, http: { host: 'https://registry.example' } })
  const { bytes, digest, size } = blob('content')
  await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${digest}`, headers: { host: 'registry.example', 'user-agent': 'docker/24', 'content-type': 'application/octet-stream' }, remoteAddress: '10.1.2.3', payload: bytes })
  const [event] = await next(1)
  t.match(event, {
    id: /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    timestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    action: 'push',
    target: { mediaType: 'application/octet-stream', digest, size, length: size, repository: 'team/app', url: `https://registry.example/v2/team/app/blobs/${digest}` },
    request: { id: /./, addr: /^10\.1\.2\.3:/, host: 'registry.example', method: 'POST', useragent: 'docker/24' },
    actor: { name: 'alice' },
    source: { addr: `${hostname()}:5000`, instanceID: /^[0-9a-f-]{36}$/ }
  })
})

t.test('where nobody asks who somebody is, the events say who they say they are', async t => {
  const { app, next } = await listening(t)
  const push = async (headers: Record<string, string>): Promise<RegistryEvent | undefined> => {
    await app.inject({ method: 'POST', url: `/v2/a/blobs/uploads/?digest=${sha256('b')}`, headers, payload: 'b' })
    return (await next(1))[0]
  }
  t.strictSame((await push({ authorization: `Basic ${Buffer.from('bob:secret').toString('base64')}` }))?.actor, { name: 'bob' })
  t.strictSame((await push({ authorization: 'Bearer abc' }))?.actor, {})
  t.strictSame((await push({ authorization: 'Basic !' }))?.actor, {})
  t.strictSame((await push({}))?.actor, {})
})

t.test('the address is what a proxy says, unless the host knows better', async t => {
  const addresses = async (app: FastifyInstance, next: Listening['next'], headers: Record<string, string>): Promise<string | undefined> => {
    await app.inject({ method: 'POST', url: `/v2/a/blobs/uploads/?digest=${sha256('b')}`, headers, remoteAddress: '10.0.0.9', payload: 'b' })
    return (await next(1))[0]?.request.addr
  }
  const { app, next } = await listening(t)
  t.equal(await addresses(app, next, { 'x-forwarded-for': '192.0.2.1, 10.0.0.1' }), '192.0.2.1')
  t.equal(await addresses(app, next, { 'x-forwarded-for': 'unknown', 'x-real-ip': '2001:db8::1' }), '2001:db8::1')
  t.match(await addresses(app, next, { 'x-forwarded-for': '"><script>' }), /^10\.0\.0\.9:/)
  const careful = await listening(t, {}, Fastify({ trustProxy: '127.0.0.1' }))
  t.equal(await addresses(careful.app, careful.next, { 'x-forwarded-for': '192.0.2.1' }), '10.0.0.9')
})

t.test('an image from push to delete, with what its manifests refer to', async t => {
  const { app, events, next } = await listening(t, { notifications: { events: { includereferences: true } } })
  const manifest = image('app')
  await pushManifest(t, app, 'team/app', manifest, 'latest')
  t.strictSame((await next(2)).map(({ action, target }) => [action, target.digest]), manifest.blobs.map(({ digest }) => ['push', digest]))
  const references = manifest.blobs.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }))
  const target = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.size,
    length: manifest.size,
    repository: 'team/app',
    url: `/v2/team/app/manifests/${manifest.digest}`,
    tag: 'latest',
    references
  }
  t.strictSame((await next(1))[0]?.target, target)

  await app.inject({ url: '/v2/team/app/manifests/latest' })
  t.match(await next(1), [{ action: 'pull', target }])
  await app.inject({ method: 'HEAD', url: `/v2/team/app/manifests/${manifest.digest}` })
  const { tag, ...untagged } = target
  t.strictSame((await next(1))[0]?.target, untagged)

  const [config] = manifest.blobs
  await app.inject({ method: 'POST', url: `/v2/team/other/blobs/uploads/?mount=${config?.digest ?? ''}&from=team/app` })
  t.match(await next(1), [{ action: 'mount', target: { digest: config?.digest, repository: 'team/other', fromRepository: 'team/app', url: `/v2/team/other/blobs/${config?.digest ?? ''}` } }])

  await app.inject({ method: 'PUT', url: `/v2/team/app/manifests/${manifest.digest}?tag=a&tag=b`, headers: { 'content-type': manifest.mediaType }, payload: manifest.bytes })
  t.strictSame((await next(2)).map(({ target }) => target.tag), ['a', 'b'])

  await app.inject({ method: 'DELETE', url: '/v2/team/app/manifests/a' })
  t.strictSame((await next(1))[0]?.target, { mediaType: '', digest: '', size: 0, repository: 'team/app', tag: 'a' })
  await app.inject({ method: 'DELETE', url: `/v2/team/app/manifests/${manifest.digest}` })
  const deleted = await next(3)
  t.strictSame(deleted.map(({ action, target: { digest, tag } }) => [action, digest, tag]), [['delete', manifest.digest, undefined], ['delete', '', 'b'], ['delete', '', 'latest']])
  await app.inject({ method: 'DELETE', url: `/v2/team/app/blobs/${config?.digest ?? ''}` })
  t.strictSame((await next(1))[0]?.target, { mediaType: '', digest: config?.digest, size: 0, repository: 'team/app' })
  t.strictSame(events, [])
})

t.test('what failed is no event', async t => {
  const { app, events } = await listening(t)
  const { digest } = blob('b')
  const requests = [
    { method: 'POST', url: `/v2/a/blobs/uploads/?digest=${digest}`, payload: 'another' },
    { method: 'PUT', url: '/v2/a/manifests/latest', payload: '{}', headers: { 'content-type': 'application/json' } },
    { method: 'GET', url: '/v2/a/manifests/latest' },
    { method: 'HEAD', url: `/v2/a/blobs/${digest}` },
    { method: 'DELETE', url: `/v2/a/blobs/${digest}` },
    { method: 'DELETE', url: '/v2/a/manifests/latest' },
    { method: 'POST', url: `/v2/a/blobs/uploads/?mount=${digest}&from=b` }
  ] as const
  for (const request of requests) await app.inject(request)
  t.strictSame(events, [])
})

t.test('a blob that the client has is pulled, a manifest is not; a part is, one that is not there is not', async t => {
  const { app, events, next } = await listening(t)
  const manifest = image('conditions')
  await pushManifest(t, app, 'a', manifest, 'latest')
  await next(3)
  const [{ digest } = blob('')] = manifest.blobs
  const get = async (url: string, headers: Record<string, string>): Promise<number> => (await app.inject({ url, headers })).statusCode
  t.equal(await get(`/v2/a/blobs/${digest}`, { 'if-none-match': `"${digest}"` }), 304)
  t.equal(await get(`/v2/a/blobs/${digest}`, { range: 'bytes=0-1' }), 206)
  t.equal(await get(`/v2/a/blobs/${digest}`, { range: 'bytes=0-1,3-4' }), 206)
  t.strictSame((await next(3)).map(({ action }) => action), ['pull', 'pull', 'pull'])
  t.equal(await get('/v2/a/manifests/latest', { 'if-none-match': `"${manifest.digest}"` }), 304)
  t.equal(await get(`/v2/a/blobs/${digest}`, { range: 'bytes=9999-' }), 416)
  t.strictSame(events, [])
})

t.test('with includehead: false a HEAD request is no pull', async t => {
  const { app, events, next } = await listening(t, { notifications: { events: { includehead: false } } })
  const manifest = image('head')
  await pushManifest(t, app, 'a', manifest, 'latest')
  await next(3)
  for (const url of ['/v2/a/manifests/latest', `/v2/a/blobs/${manifest.blobs[0]?.digest ?? ''}`]) {
    await app.inject({ method: 'HEAD', url })
    t.strictSame(events, [])
    await app.inject({ url })
    t.match(await next(1), [{ action: 'pull', request: { method: 'GET' } }])
  }
})

t.test('a download that its client broke off is no pull', async t => {
  const { app, events, next } = await listening(t)
  const large = blob(Buffer.alloc(64 * 1024 * 1024, 1))
  await pushBlob(t, app, 'a', large)
  await next(1)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const connection = await RawConnection.open(`127.0.0.1:${port}`)
  const closed = new Promise<void>(resolve => { app.server.once('request', (_request, response) => { response.once('close', resolve) }) })
  connection.send(`GET /v2/a/blobs/${large.digest} HTTP/1.1\r\nhost: x\r\n\r\n`)
  await once(connection.socket, 'data')
  connection.abort()
  await closed
  const [first] = await Promise.all([next(1), rawRequest(`127.0.0.1:${port}`, 'HEAD', `/v2/a/blobs/${large.digest}`, { connection: 'close' })])
  t.match(first, [{ action: 'pull', request: { method: 'HEAD' } }])
  const whole = await fetch(`http://127.0.0.1:${port}/v2/a/blobs/${large.digest}`)
  await whole.arrayBuffer()
  const [event] = await next(1)
  t.match(event, { action: 'pull', source: { addr: `${hostname()}:${port}` } })
  t.strictSame(events, [])
})

t.test('so it is over HTTP/2', async t => {
  const h2 = Fastify({ http2: true }) as unknown as FastifyInstance
  const sessions = new Set<{ destroy (): void }>()
  h2.server.on('session', (session: { destroy (): void }) => { sessions.add(session) })
  const { app, events, next } = await listening(t, {}, h2)
  const large = blob(Buffer.alloc(4 * 1024 * 1024, 1))
  await pushBlob(t, app, 'a', large)
  await next(1)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const session = connect(`http://127.0.0.1:${port}`)
  const path = `/v2/a/blobs/${large.digest}`
  const broken = session.request({ ':path': path })
  await once(broken, 'response')
  broken.close(constants.NGHTTP2_CANCEL)
  await once(broken, 'close')
  const whole = session.request({ ':path': path })
  let bytes = 0
  whole.on('data', (chunk: Buffer) => { bytes += chunk.length })
  await once(whole, 'end')
  t.equal(bytes, large.size)
  t.match(await next(1), [{ action: 'pull', target: { digest: large.digest } }])
  t.strictSame(events, [])
  session.destroy()
  for (const each of sessions) each.destroy()
})

t.test('an upload whose client went away after the last byte is pushed all the same, and one that is not whole is not', async t => {
  const { app, events, next } = await listening(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const { digest } = blob('0123456789')
  const head = `POST /v2/a/blobs/uploads/?digest=${digest} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\ncontent-type: application/octet-stream\r\n\r\n`
  const half = await RawConnection.open(`127.0.0.1:${port}`)
  const closed = new Promise<void>(resolve => { app.server.once('request', (_request, response) => { response.once('close', resolve) }) })
  half.send(`${head}01234`)
  await once(app.server, 'request')
  half.abort()
  await closed
  const whole = await RawConnection.open(`127.0.0.1:${port}`)
  whole.send(`${head}0123456789`)
  whole.socket.end()
  t.match(await next(1), [{ action: 'push', target: { digest } }])
  t.strictSame(events, [])
})

t.test('under a prefix the URLs have it', async t => {
  const { app, next } = await listening(t, { prefix: '/under' })
  const { digest, bytes } = blob('b')
  await pushBlob(t, app, 'a', { digest, bytes }, '/under')
  t.equal((await next(1))[0]?.target.url, `/under/v2/a/blobs/${digest}`)
})

t.test('a subscriber that fails harms nobody, and whoever ends hears no more', async t => {
  const { app, handle, next } = await listening(t)
  handle.events.on('push', () => { throw new Error('a subscriber that throws') })
  handle.events.on('push', async () => { throw new Error('a subscriber that rejects') })
  const heard: string[] = []
  const handler = ({ target }: { target: { digest: string } }): void => { heard.push(target.digest) }
  const end = handle.events.on('push', handler)
  const endAgain = handle.events.on('push', handler)
  const one = blob('one')
  await pushBlob(t, app, 'a', one)
  end()
  end()
  const two = blob('two')
  await pushBlob(t, app, 'a', two)
  endAgain()
  await pushBlob(t, app, 'a', blob('three'))
  t.strictSame(heard, [one.digest, one.digest, two.digest])
  t.equal((await next(3)).length, 3)
})
