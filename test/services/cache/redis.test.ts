import { once } from 'node:events'
import t from 'tap'
import type { Redis } from 'ioredis'
import { RedisCache } from '../../../services/cache/redis.js'
import type { Scope } from '../../../services/cache/types.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { redisConnection, startRedis } from '../../helpers/redis.js'
import { sha256, sha512 } from '../../helpers/images.js'
import { descriptorCacheSuite } from '../../suites/descriptor-cache.js'

const NAME = parseRepositoryName('team/app')
const LAYERS: Scope = { name: NAME, set: '_layers' }
const REVISIONS: Scope = { name: NAME, set: '_manifests/revisions' }
const DIGEST = sha256('content')
const ALIAS = sha512('content')
const BLOB = { mediaType: 'application/octet-stream', digest: DIGEST, size: 7 }

/** Every key with its value. */
async function dump (client: Redis): Promise<Record<string, unknown>> {
  const keys = (await client.keys('*')).sort()
  const values = await Promise.all(keys.map(async key => {
    const type = await client.type(key)
    return type === 'set' ? (await client.smembers(key)).sort() : type === 'hash' ? await client.hgetall(key) : await client.get(key)
  }))
  return Object.fromEntries(keys.map((key, i) => [key, values[i]]))
}

t.test('against a real server', async t => {
  const server = await startRedis(t)
  const client = server.client(t)
  const make = async (): Promise<RedisCache> => {
    await client.flushall()
    return new RedisCache(await redisConnection(t, server))
  }
  t.test('the contract', async t => { descriptorCacheSuite(t, make) })

  t.test('the keys are those of docker\'s registry, byte for byte; what is ours is beside them', async t => {
    const cache = await make()
    await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST))
    t.same(await dump(client), { [`blobs::${DIGEST}`]: { digest: DIGEST, size: '7', mediatype: 'application/octet-stream' } })
    await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST, LAYERS), LAYERS)
    await cache.fill(ALIAS, BLOB, await cache.lease(ALIAS, LAYERS), LAYERS)
    await cache.fill(DIGEST, { ...BLOB, mediaType: 'a/b' }, await cache.lease(DIGEST, REVISIONS), REVISIONS)
    t.same(await dump(client), {
      [`blobs::${DIGEST}`]: { digest: DIGEST, size: '7', mediatype: 'application/octet-stream' },
      [`blobs::${ALIAS}`]: { digest: DIGEST, size: '7', mediatype: 'application/octet-stream' },
      'repository::team/app::blobs': [DIGEST, ALIAS].sort(),
      [`repository::team/app::blobs::${DIGEST}`]: { mediatype: 'application/octet-stream' },
      [`repository::team/app::blobs::${ALIAS}`]: { mediatype: 'application/octet-stream' },
      'repository::team/app::revisions': { [DIGEST]: `${DIGEST} 7 a/b` }
    })
    await cache.clear(DIGEST, LAYERS)
    await cache.clear(ALIAS, LAYERS)
    await cache.clear(DIGEST, REVISIONS)
    await cache.clear(DIGEST)
    await cache.clear(ALIAS)
    t.same(await dump(client), {}, 'nothing is left, leases included')
  })

  t.test('a lease of its own key\'s slot, so that a cluster runs the scripts', async t => {
    const cache = await make()
    await cache.lease(DIGEST, LAYERS)
    const [lease = ''] = await client.keys('*')
    t.equal(await client.cluster('KEYSLOT', lease).catch(() => slotOf(lease)), slotOf('repository::team/app::blobs'))
    t.ok(await client.pttl(lease) > 0, 'it ends by itself')
  })

  t.test('what docker\'s registry left half, or nobody can have meant, is a miss', async t => {
    const cache = await make()
    await client.sadd('repository::team/app::blobs', DIGEST)
    t.equal(await cache.get(DIGEST, LAYERS), undefined)
    await client.hset(`blobs::${DIGEST}`, 'size', '7')
    t.equal(await cache.get(DIGEST, LAYERS), undefined, 'registry 2.8 deletes digest and mediatype and leaves the size')
    await client.hset(`blobs::${DIGEST}`, 'digest', DIGEST)
    t.same(await cache.get(DIGEST, LAYERS), BLOB)
    for (const [field, value] of [['size', '-1'], ['size', 'x'], ['digest', 'x'], ['digest', sha256('other')]] as const) {
      await client.hset(`blobs::${DIGEST}`, 'digest', DIGEST, 'size', '7', field, value)
      t.equal(await cache.get(DIGEST, LAYERS), undefined, `${field} ${value}`)
    }
    await client.hset('repository::team/app::revisions', DIGEST, 'nonsense')
    t.equal(await cache.get(DIGEST, REVISIONS), undefined)
  })

  t.test('it works with no memory left: entries are read and cleared, not filled', async t => {
    const cache = await make()
    await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST))
    await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST, LAYERS), LAYERS)
    await client.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1')
    t.teardown(async () => { await client.config('SET', 'maxmemory', '0') })
    t.same(await cache.get(DIGEST, LAYERS), BLOB)
    await t.rejects(cache.lease(sha256('other'), LAYERS), { name: 'ReplyError' })
    await cache.clear(DIGEST, LAYERS)
    t.equal(await cache.get(DIGEST, LAYERS), undefined)
  })
})

t.test('a clear that did not reach Redis is repeated before anything is believed', async t => {
  const server = await startRedis(t)
  const client = server.client(t)
  const connection = await redisConnection(t, server)
  const cache = new RedisCache(connection)
  const other = new RedisCache(await redisConnection(t, server))
  await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST))
  await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST, LAYERS), LAYERS)
  // Gone for this process, not for the other one.
  await client.call('ACL', 'SETUSER', 'default', '-eval')
  await t.rejects(cache.clear(DIGEST, LAYERS), { name: 'ReplyError' })
  t.same(await other.get(DIGEST, LAYERS), BLOB, 'the entry is still there')
  await t.rejects(async () => await cache.get(DIGEST, LAYERS), { name: 'ReplyError' }, 'and is not believed')
  await t.rejects(async () => await cache.lease(DIGEST, LAYERS), 'nor is anything filled')
  await client.call('ACL', 'SETUSER', 'default', '+eval')
  t.equal(await cache.get(DIGEST, LAYERS), undefined)
  t.equal(await other.get(DIGEST, LAYERS), undefined, 'now nobody has it')
})

t.test('many deletes that Redis did not hear of take the whole repository with them', async t => {
  const server = await startRedis(t)
  const client = server.client(t)
  const cache = new RedisCache(await redisConnection(t, server))
  await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST))
  await cache.fill(DIGEST, BLOB, await cache.lease(DIGEST, LAYERS), LAYERS)
  await client.call('ACL', 'SETUSER', 'default', '-eval')
  for (let i = 0; i <= 1001; i++) await t.rejects(cache.clear(sha256(String(i)), LAYERS))
  await client.call('ACL', 'SETUSER', 'default', '+eval')
  t.equal(await cache.get(DIGEST, LAYERS), undefined)
  t.equal(await client.exists('repository::team/app::blobs'), 0)
})

t.test('what was not heard is told as soon as the connection is there again', async t => {
  const server = await startRedis(t)
  const cache = new RedisCache(await redisConnection(t, server))
  await server.stop()
  await t.rejects(async () => {
    for (;;) await cache.clear(DIGEST, LAYERS)
  }, { name: 'RedisUnavailable' })
  await server.start()
  const client = server.client(t)
  await once(client, 'ready')
  // Found again by a reader that is let through once the connection and the repeated clear are there.
  for (;;) {
    try {
      t.equal(await cache.get(DIGEST, LAYERS), undefined)
      break
    } catch (error) {
      t.match(error, { name: 'RedisUnavailable' })
      await new Promise(resolve => setImmediate(resolve))
    }
  }
})

/** CRC16 (XMODEM) of what is in braces, or of all of it, as the cluster specification has it. */
function slotOf (key: string): number {
  const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
    crc &= 0xffff
  }
  return crc % 16384
}
