import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import { registry } from '../../registry.js'
import type { RegistryHandle } from '../../registry.js'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { needs } from '../helpers/clients.js'
import { blob, image } from '../helpers/images.js'
import type { Blob, Manifest } from '../helpers/images.js'
import { startProxy, startRedis } from '../helpers/redis.js'

// Whatever happens to Redis, pushes and pulls go on, nothing wrong is served, and recovery is automatic.
const options = needs('redis-server')

interface Served { readonly app: FastifyInstance, readonly hits: () => number, readonly connected: (times?: number) => Promise<void> }

async function serve (t: Test, redis: NonNullable<RegistryConfigInput['redis']>): Promise<Served> {
  const seen = { connections: 0 }
  let wake = (): void => {}
  const stream = { write (line: string) { if (line.includes('connected to redis')) { seen.connections++; wake() } } }
  const app = Fastify({ logger: { level: 'info', stream } })
  t.teardown(async () => { await app.close() })
  let handle: RegistryHandle | undefined
  await app.register(registry, {
    storage: { inmemory: {}, delete: { enabled: true }, cache: { blobdescriptor: 'redis' } }, redis, onReady: ready => { handle = ready }
  })
  await app.ready()
  return {
    app,
    hits: () => (handle?.debug.read()['cache'] as { storage: { blobdescriptor: { Hits: number } } }).storage.blobdescriptor.Hits,
    async connected (times = 1) {
      while (seen.connections < times) await new Promise<void>(resolve => { wake = resolve })
    }
  }
}

async function status (app: FastifyInstance, method: 'GET' | 'HEAD' | 'DELETE', path: string): Promise<number> {
  return (await app.inject({ method, url: `/v2/${path}` })).statusCode
}

async function pushBlob (app: FastifyInstance, { bytes, digest }: Blob): Promise<number> {
  return (await app.inject({ method: 'POST', url: `/v2/a/blobs/uploads/?digest=${digest}`, headers: { 'content-type': 'application/octet-stream' }, payload: bytes })).statusCode
}

async function pushImage (app: FastifyInstance, { blobs, bytes, digest, mediaType }: Manifest): Promise<number[]> {
  const pushed = []
  for (const content of blobs) pushed.push(await pushBlob(app, content))
  pushed.push((await app.inject({ method: 'PUT', url: `/v2/a/manifests/${digest}`, headers: { 'content-type': mediaType }, payload: bytes })).statusCode)
  return pushed
}

let round = 0
/** An image's whole life: what every client is answered, whatever Redis does. */
async function life (app: FastifyInstance): Promise<number[]> {
  const content = image(`life ${round++}`)
  const [config, layer] = content.blobs
  const answers = await pushImage(app, content)
  for (const path of [`a/manifests/${content.digest}`, `a/blobs/${config?.digest}`, `a/blobs/${layer?.digest}`]) {
    answers.push(await status(app, 'HEAD', path), await status(app, 'GET', path), await status(app, 'DELETE', path), await status(app, 'HEAD', path), await status(app, 'GET', path))
  }
  return answers
}
const LIFE = [201, 201, 201, ...[1, 2, 3].flatMap(() => [200, 200, 202, 404, 404])]

/** Makes requests until the cache answers one. */
async function recovers (t: Test, { app, hits }: Served): Promise<void> {
  const content = blob('recovery')
  t.equal(await pushBlob(app, content), 201)
  const before = hits()
  const answers = new Set<number>()
  while (hits() === before) {
    answers.add(await status(app, 'HEAD', `a/blobs/${content.digest}`))
    // Requests that never leave the process leave no turn to the network.
    await new Promise(resolve => setImmediate(resolve))
  }
  t.same([...answers], [200])
}

/** Waits for twenty more lives. */
async function liveOn (run: { readonly lives: number }): Promise<void> {
  const enough = run.lives + 20
  while (run.lives < enough) await new Promise(resolve => setImmediate(resolve))
}

t.test('restarted under load', options, async t => {
  const server = await startRedis(t)
  const served = await serve(t, { addr: server.addr, maxretrybackoff: '20ms' })
  const { app, connected } = served
  await connected()
  const kept = image('kept')
  t.same(await pushImage(app, kept), [201, 201, 201])
  const run = { isOver: false, lives: 0 }
  const wrong = new Map<string, number>()
  const note = (what: string): void => { wrong.set(what, (wrong.get(what) ?? 0) + 1) }
  const load = Array.from({ length: 8 }, async () => {
    while (!run.isOver) {
      const answers = await life(app)
      run.lives++
      if (JSON.stringify(answers) !== JSON.stringify(LIFE)) note(answers.join(' '))
      for (const path of [`a/manifests/${kept.digest}`, `a/blobs/${kept.blobs[0]?.digest}`]) {
        const answer = await status(app, 'GET', path)
        if (answer !== 200) note(`${path} ${answer}`)
      }
    }
  })
  for (let restarts = 1; restarts <= 3; restarts++) {
    await server.stop()
    await liveOn(run)
    await server.start()
    await connected(restarts + 1)
    await liveOn(run)
  }
  run.isOver = true
  await Promise.all(load)
  t.same([...wrong], [])
  await recovers(t, served)
})

t.test('stopped for a while (CLIENT PAUSE)', options, async t => {
  const server = await startRedis(t)
  const served = await serve(t, { addr: server.addr, readtimeout: '50ms' })
  await served.connected()
  t.same(await life(served.app), LIFE)
  await server.client(t).call('CLIENT', 'PAUSE', '1500', 'ALL')
  const started = performance.now()
  t.same(await life(served.app), LIFE)
  t.ok(performance.now() - started < 1000, 'and nobody waits for it for long')
  await recovers(t, served)
  t.same(await life(served.app), LIFE)
})

t.test('with the wrong password, which then becomes the right one', options, async t => {
  const server = await startRedis(t, ['--requirepass', 'right'])
  const served = await serve(t, { addr: server.addr, password: 'new', maxretrybackoff: '20ms' })
  t.same(await life(served.app), LIFE)
  await server.client(t, 'right').config('SET', 'requirepass', 'new')
  await served.connected()
  await recovers(t, served)
})

t.test('with its memory full', options, async t => {
  const server = await startRedis(t)
  const served = await serve(t, { addr: server.addr })
  await served.connected()
  const known = blob('known before')
  t.equal(await pushBlob(served.app, known), 201)
  const admin = server.client(t)
  await admin.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1')
  t.same(await life(served.app), LIFE)
  t.equal(await status(served.app, 'GET', `a/blobs/${known.digest}`), 200)
  t.equal(await status(served.app, 'DELETE', `a/blobs/${known.digest}`), 202)
  t.equal(await status(served.app, 'HEAD', `a/blobs/${known.digest}`), 404)
  await admin.config('SET', 'maxmemory', '0')
  t.equal(await status(served.app, 'HEAD', `a/blobs/${known.digest}`), 404)
  await recovers(t, served)
})

t.test('300 ms away, and then near again', options, async t => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server.port)
  const served = await serve(t, { addr: proxy.addr, readtimeout: '100ms' })
  await served.connected()
  t.same(await life(served.app), LIFE)
  proxy.delay = 300
  const started = performance.now()
  for (let i = 0; i < 5; i++) t.same(await life(served.app), LIFE)
  t.ok(performance.now() - started < 2000, 'about a hundred requests do not pay 300 ms each')
  proxy.delay = 0
  await recovers(t, served)
})

t.test('behind a network that keeps everything for a while', options, async t => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server.port)
  const served = await serve(t, { addr: proxy.addr, readtimeout: '50ms' })
  await served.connected()
  const deleted = blob('deleted while nobody heard')
  t.equal(await pushBlob(served.app, deleted), 201)
  t.equal(await status(served.app, 'HEAD', `a/blobs/${deleted.digest}`), 200)
  proxy.hold()
  t.equal(await status(served.app, 'DELETE', `a/blobs/${deleted.digest}`), 202)
  t.same(await life(served.app), LIFE)
  t.equal(await server.client(t).sismember('repository::a::blobs', deleted.digest), 1, 'Redis still has it')
  proxy.release()
  t.equal(await status(served.app, 'HEAD', `a/blobs/${deleted.digest}`), 404)
  await recovers(t, served)
  t.equal(await status(served.app, 'HEAD', `a/blobs/${deleted.digest}`), 404)
  t.equal(await server.client(t).sismember('repository::a::blobs', deleted.digest), 0, 'now it has heard')
})

t.test('on a connection that is dead without anybody having said so', options, async t => {
  const server = await startRedis(t)
  const proxy = await startProxy(t, server.port)
  const served = await serve(t, { addr: proxy.addr, readtimeout: '50ms' })
  await served.connected()
  proxy.hold()
  t.same(await life(served.app), LIFE)
  await recovers(t, served)
  await served.connected(2)
})

t.test('with fewer operations allowed than there are requests', options, async t => {
  const server = await startRedis(t)
  const { app, connected } = await serve(t, { addr: server.addr, pool: { maxactive: 1 } })
  await connected()
  for (const answers of await Promise.all(Array.from({ length: 20 }, async () => await life(app)))) t.same(answers, LIFE)
})

t.test('a cluster', options, async t => {
  const directory = t.testdir({})
  const servers = await Promise.all([0, 1, 2].map(async i => await startRedis(t, ['--cluster-enabled', 'yes', '--cluster-config-file', `${directory}/nodes-${i}.conf`])))
  const clients = servers.map(server => server.client(t))
  for (const [i, client] of clients.entries()) {
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(i * 5462), String(Math.min(i * 5462 + 5461, 16383)))
    if (i > 0) await client.call('CLUSTER', 'MEET', '127.0.0.1', String(servers[0]?.port))
  }
  for (const client of clients) while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await new Promise(resolve => setImmediate(resolve))
  const served = await serve(t, { addrs: servers.map(({ addr }) => addr) })
  await served.connected()
  t.same(await life(served.app), LIFE)
  await recovers(t, served)
  for (let i = 0; i < 10; i++) t.equal(await pushBlob(served.app, blob(`spread ${i}`)), 201)
  const counts = await Promise.all(clients.map(async client => await client.dbsize()))
  t.ok(counts.every(count => count > 0), `keys lie on ${counts.join(', ')}`)
})

t.test('sentinels', options, async t => {
  const server = await startRedis(t)
  const directory = t.testdir({ 'sentinel.conf': `sentinel monitor registry 127.0.0.1 ${server.port} 1\n` })
  const sentinel = await startRedis(t, [`${directory}/sentinel.conf`, '--sentinel'])
  const served = await serve(t, { addrs: [sentinel.addr], mastername: 'registry' })
  await served.connected()
  t.same(await life(served.app), LIFE)
  await recovers(t, served)
  t.ok(await server.client(t).dbsize() > 0)
})

t.test('a delete is 404 at once on every replica that shares the Redis, and a push 200 (R-119, R-140)', options, async t => {
  const server = await startRedis(t)
  const driver = new MemoryDriver()
  const redis = server.client(t)
  await once(redis, 'ready')
  const replicas = await Promise.all([0, 1].map(async () => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(registry, { storage: { delete: { enabled: true }, cache: { blobdescriptor: 'redis' } }, redis: { readtimeout: '5s' }, instances: { driver, redis } })
    return app
  })) as [FastifyInstance, FastifyInstance]
  for (let i = 0; i < 10; i++) {
    const [here, there] = i % 2 === 0 ? replicas : [replicas[1], replicas[0]]
    const content = blob(`replicated ${i % 3}`)
    t.equal(await pushBlob(here, content), 201)
    t.equal(await status(there, 'HEAD', `a/blobs/${content.digest}`), 200)
    t.equal(await status(here, 'DELETE', `a/blobs/${content.digest}`), 202)
    t.equal(await status(there, 'HEAD', `a/blobs/${content.digest}`), 404)
  }
})
