import { once } from 'node:events'
import fastifyRedis from '@fastify/redis'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { Redis } from 'ioredis'
import { registry } from '../../registry.js'
import type { RegistryHandle, RegistryOptions } from '../../registry.js'
import { freePort } from '../helpers/docker-registry.js'
import { needs } from '../helpers/clients.js'
import { blob, pushBlob } from '../helpers/images.js'
import { startRedis } from '../helpers/redis.js'

const LAYER = blob('a layer')
const REDIS_CACHE = { inmemory: {}, delete: { enabled: true }, cache: { blobdescriptor: 'redis' } }

interface Line { readonly level: number, readonly msg: string, readonly [key: string]: unknown }
interface Host { readonly app: FastifyInstance, readonly lines: Line[], readonly debug: () => Record<string, unknown>, readonly logged: (text: string) => Promise<Line> }

/** A host with the registry in it, its log, and what the registry shows of itself. */
async function host (t: Test, options: RegistryOptions, before: (app: FastifyInstance) => void | Promise<void> = () => {}): Promise<Host> {
  const lines: Line[] = []
  let wake = (): void => {}
  const app = Fastify({ logger: { level: 'info', stream: { write (line: string) { lines.push(JSON.parse(line) as Line); wake() } } } })
  t.teardown(async () => { await app.close() })
  await before(app)
  let handle: RegistryHandle | undefined
  await app.register(registry, { ...options, onReady: ready => { handle = ready } })
  await app.ready()
  const logged = async (text: string): Promise<Line> => {
    for (;;) {
      const found = lines.find(({ msg }) => msg.includes(text))
      if (found !== undefined) return found
      await new Promise<void>(resolve => { wake = resolve })
    }
  }
  return { app, lines, logged, debug: () => handle?.debug.read() ?? {} }
}

async function works (t: Test, app: FastifyInstance): Promise<void> {
  await pushBlob(t, app, 'a', LAYER)
  t.equal((await app.inject(`/v2/a/blobs/${LAYER.digest}`)).body, 'a layer')
  t.equal((await app.inject({ method: 'DELETE', url: `/v2/a/blobs/${LAYER.digest}` })).statusCode, 202)
  t.equal((await app.inject(`/v2/a/blobs/${LAYER.digest}`)).statusCode, 404)
}

t.test('it starts, serves and stops without a Redis to reach: one warning, and it keeps trying', async t => {
  const addr = `127.0.0.1:${await freePort()}`
  const { app, lines, logged, debug } = await host(t, { storage: REDIS_CACHE, redis: { addr, maxretrybackoff: '1ms' } })
  t.match(await logged('cannot connect to redis'), { level: 40 })
  await works(t, app)
  t.equal(lines.filter(({ msg }) => msg.includes('cannot connect to redis')).length, 1)
  t.match(debug(), { redis: { Config: { addr }, Active: 0 }, cache: { storage: { blobdescriptor: { Hits: 0 } } } })
  t.equal(lines.filter(({ level }) => level >= 40).length, 1)
  await app.close()
})

t.test('with a Redis', needs('redis-server'), async t => {
  const server = await startRedis(t, ['--requirepass', 'very secret'])

  t.test('the time to connect is logged, and what it does is shown without the password', async t => {
    const redis = { addr: server.addr, password: 'very secret', pool: { maxactive: 5 } }
    const { app, debug, logged } = await host(t, { storage: REDIS_CACHE, redis })
    t.match(await logged('connected to redis'), { level: 30, 'redis.connect.duration': /^\d+\.\d{3}ms$/ })
    await works(t, app)
    t.match(debug(), {
      redis: { Config: { addr: server.addr, password: '***', pool: { maxactive: 5 } }, Active: 1 },
      cache: { storage: { blobdescriptor: { Requests: Number, Hits: Number, Misses: Number, Errors: 0 } } }
    })
    t.notMatch(JSON.stringify(debug()), 'very secret')
  })

  t.test('a wrong password is a warning, not a failure', async t => {
    const { app, lines, logged } = await host(t, { storage: REDIS_CACHE, redis: { addr: server.addr, password: 'wrong secret' } })
    const { level, msg } = await logged('cannot connect to redis')
    t.equal(level, 40)
    t.match(msg, /WRONGPASS|NOAUTH/)
    await works(t, app)
    t.notMatch(JSON.stringify(lines), 'wrong secret')
  })

  t.test('the client of a host that uses @fastify/redis is used, and left open', async t => {
    const { app, debug } = await host(t, { storage: REDIS_CACHE }, () => {}).catch(() => ({ app: undefined, debug: undefined }))
    t.equal(app, undefined, 'without one there is none')
    t.equal(debug, undefined)
    const client = new Redis({ port: server.port, host: '127.0.0.1', password: 'very secret' })
    t.teardown(() => { client.disconnect() })
    await once(client, 'ready')
    const listeners = client.listenerCount('ready')
    const adopted = Fastify()
    await adopted.register(fastifyRedis, { client })
    await adopted.register(registry, { storage: REDIS_CACHE, instances: { redis: client } })
    await works(t, adopted)
    t.equal(adopted.redis, client, 'and the host keeps its decorator')
    t.ok((await client.keys('*')).length > 0)
    await adopted.close()
    t.equal(await client.ping(), 'PONG')
    t.equal(client.listenerCount('ready'), listeners)
  })
})

t.test('the cache asked for needs what it needs, and a cache nobody knows is none', async t => {
  const start = async (cache: object, redis?: object): Promise<Host> => await host(t, { storage: { inmemory: {}, cache }, ...(redis === undefined ? {} : { redis }) })
  const missing = { name: 'ConfigError', message: 'storage.cache.blobdescriptor: redis is asked for, and redis.addr or redis.addrs is missing' }
  await t.rejects(start({ blobdescriptor: 'redis' }), missing)
  await t.rejects(start({ layerinfo: 'redis' }), missing)
  await t.rejects(start({ blobdescriptor: 'redis' }, { addrs: [] }), missing)
  const unknown = await start({ blobdescriptor: 'memcached' })
  t.match(unknown.lines, [{ level: 40, msg: 'storage.cache.blobdescriptor: unknown cache type "memcached", caching disabled' }])
  t.notOk('cache' in unknown.debug())
  const old = await start({ layerinfo: 'inmemory' })
  t.match(old.lines, [{ level: 40, msg: 'storage.cache.layerinfo: is the old name of storage.cache.blobdescriptor' }])
  t.ok('cache' in old.debug())
  t.notOk('cache' in (await start({})).debug(), 'and none is the default')
})
