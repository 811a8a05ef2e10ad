import t from 'tap'
import type { Test } from 'tap'
import { systemClock } from '../../../services/maintenance/clock.js'
import type { Clock } from '../../../services/maintenance/clock.js'
import type { RedisConnectionParts } from '../../../services/redis/connection.js'
import { LocalUploadLocks, forever } from '../../../services/uploads/locks.js'
import type { LeaseProof, UploadLease } from '../../../services/uploads/locks.js'
import { lockKeys } from '../../../services/uploads/redis-lease.js'
import { RedisUploadLocks } from '../../../services/uploads/redis-locks.js'
import type { RedisUploadLocksParts } from '../../../services/uploads/redis-locks.js'
import { SharedUploadLocks } from '../../../services/uploads/shared-locks.js'
import { CapturedLog } from '../../helpers/captured-log.js'
import { needs } from '../../helpers/clients.js'
import { FakeClock } from '../../helpers/fake-clock.js'
import { redisConnection, startRedis } from '../../helpers/redis.js'
import type { RedisServer } from '../../helpers/redis.js'
import { TestWorkers } from '../../helpers/workers.js'
import { uploadLocksSuite } from '../../suites/upload-locks.js'

const options = needs('redis-server')
const SPEED = 50
/** Passes faster than the clock on the wall. */
const hasty: Clock = {
  now: () => performance.now() * SPEED,
  sleep: async (ms, sleep) => { await systemClock.sleep(ms / SPEED, sleep) }
}

async function locksOn (t: Test, server: RedisServer, parts: Partial<RedisUploadLocksParts> = {}, connection: Partial<RedisConnectionParts> = {}): Promise<RedisUploadLocks> {
  return new RedisUploadLocks({ redis: await redisConnection(t, server, connection), inner: new LocalUploadLocks({ idleMs: 60_000 }), clock: hasty, ...parts })
}

/** Looks again and again, with all that happens in between. */
async function until (isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!await isSo()) await new Promise(resolve => { setImmediate(resolve) })
}

function proofOf ({ proof }: UploadLease): LeaseProof {
  if (proof === undefined) throw new Error('a lease that others cannot take')
  return proof
}

const TAKEN_OVER = { code: 'RANGE_INVALID', detail: 'another server took over this upload' }

t.test('the contract, on several servers', options, async t => {
  const server = await startRedis(t)
  const admin = server.client(t)
  uploadLocksSuite(t, {
    async open (t, { idleMs }) {
      const open = async (): Promise<RedisUploadLocks> => await locksOn(t, server, { inner: new LocalUploadLocks({ idleMs }) })
      return [await open(), await open(), await open()]
    },
    async turns () { for (let turn = 0; turn < 20; turn++) await admin.ping() }
  })
})

t.test('the contract, on two servers of which one has several processes', options, async t => {
  const server = await startRedis(t)
  const admin = server.client(t)
  uploadLocksSuite(t, {
    async open (t, { idleMs }) {
      const workers = new TestWorkers()
      const worker = async (): Promise<RedisUploadLocks> => await locksOn(t, server, { inner: new SharedUploadLocks((await workers.join()).ownership, new LocalUploadLocks({ idleMs })) })
      return [await worker(), await locksOn(t, server, { inner: new LocalUploadLocks({ idleMs }) }), await worker()]
    },
    async turns () { for (let turn = 0; turn < 20; turn++) await admin.ping() }
  })
})

t.test('what a server holds', options, async t => {
  const server = await startRedis(t)
  const admin = server.client(t)
  const [key] = lockKeys('id')
  t.beforeEach(async () => { await admin.flushall() })

  t.test('is kept for as long as it is renewed, which takes no request of its own', async t => {
    const clock = new FakeClock()
    const locks = await locksOn(t, server, { clock })
    const lease = await locks.acquire('id', forever())
    for (let second = 0; second < 3; second++) {
      await admin.pexpire(key, 2000)
      await clock.advance(1000)
      await until(async () => await admin.pttl(key) > 2000)
    }
    t.equal(await proofOf(lease).renew(), true)
    t.same(clock.sleeping, [{ ms: 1000, ref: false }], 'and does not keep the process alive')
    lease.release()
    await until(async () => await admin.exists(key) === 0)
    t.same(clock.sleeping, [])
    t.equal(locks.stats().held, 0)
  })

  t.test('is kept also while its holder, told to let go, puts in place what it got', async t => {
    const clock = new FakeClock()
    const locks = await locksOn(t, server, { clock, inner: new LocalUploadLocks({ idleMs: 0 }) })
    const lease = await locks.acquire('id', forever())
    const waiting = locks.acquire('id', forever())
    t.equal(lease.signal.aborted, true)
    await admin.pexpire(key, 2000)
    await clock.advance(1000)
    await until(async () => await admin.pttl(key) > 2000)
    lease.release()
    ;(await waiting).release()
  })

  t.test('is free within seconds when it died', async t => {
    const dead = await locksOn(t, server, { clock: new FakeClock() })
    const lease = await dead.acquire('id', forever())
    t.teardown(() => { lease.release() })
    const next = await locksOn(t, server)
    const waiting = next.acquire('id', forever())
    await until(() => next.stats().waited === 1)
    const left = await admin.pttl(key)
    t.ok(left > 0 && left <= 5000, `${left} ms`)
    await admin.pexpire(key, 1)
    ;(await waiting).release()
  })

  t.test('is lost when it stood still until another server took it, and it finds out before it writes or acknowledges', async t => {
    const clock = { ...new FakeClock(), time: 0, now: () => clock.time }
    const stalled = await locksOn(t, server, { clock })
    const lease = await stalled.acquire('id', forever())
    t.equal(proofOf(lease).isFresh, true)
    await admin.del(key) // its time is over
    const other = await locksOn(t, server)
    const next = await other.acquire('id', forever())
    clock.time += 20_000
    t.equal(proofOf(lease).isFresh, false)
    const renewing = proofOf(lease).renew()
    t.equal(proofOf(lease).isFresh, false, 'not before there is an answer')
    await t.rejects(renewing, TAKEN_OVER)
    t.equal(proofOf(lease).isFresh, false)
    await t.rejects(proofOf(lease).end(), TAKEN_OVER)
    t.equal(lease.signal.aborted, true)
    lease.release()
    t.equal(await proofOf(next).renew(), true, 'it does not take away what is not its own')
    next.release()
  })

  t.test('is given back before the request is answered', async t => {
    const [locks, other] = [await locksOn(t, server), await locksOn(t, server)]
    const lease = await locks.acquire('id', forever())
    t.equal(await proofOf(lease).end(), true)
    t.equal(await admin.exists(key), 0)
    const next = await other.acquire('id', forever())
    lease.release()
    t.equal(await proofOf(next).renew(), true)
    next.release()
  })

  t.test('is in doubt after Redis forgot it, and is taken again if it is free', async t => {
    const [locks, other] = [await locksOn(t, server), await locksOn(t, server)]
    const lease = await locks.acquire('id', forever())
    await admin.flushall()
    t.equal(await proofOf(lease).renew(), false)
    t.equal(await other.tryAcquire('id'), undefined)
    t.equal(await proofOf(lease).end(), false)
    lease.release()
  })

  t.test('is in doubt when it was taken again by the clock, after somebody else may have had it: the request has to ask', async t => {
    const locks = await locksOn(t, server)
    const lease = await locks.acquire('id', forever())
    t.equal(proofOf(lease).isFresh, true)
    await admin.del(key) // its time is over, and that of whoever took it
    await until(async () => await admin.exists(key) === 1)
    await until(() => !proofOf(lease).isFresh)
    t.equal(await proofOf(lease).renew(), false)
    lease.release()
  })

  t.test('is no business of others, and both its keys lie on one node of a cluster', async t => {
    const tags = lockKeys('/a/_uploads/b').map(one => /\{([^}]+)\}/.exec(one)?.[1])
    t.same(tags, ['/a/_uploads/b', '/a/_uploads/b'])
    t.not(lockKeys('one')[0], lockKeys('two')[0])
  })
})

t.test('Redis is away', options, async t => {
  const server = await startRedis(t)
  t.beforeEach(async () => {
    await server.stop()
    await server.start()
  })

  t.test('for a moment: a lease is good for as long as it would live there', async t => {
    const clock = new FakeClock()
    const locks = await locksOn(t, server, { clock })
    const lease = await locks.acquire('id', forever())
    await server.stop()
    t.equal(await proofOf(lease).renew(), true)
    await clock.advance(4999)
    t.equal(await proofOf(lease).renew(), true)
    await clock.advance(1)
    t.equal(await proofOf(lease).renew(), false)
    t.equal(lease.signal.aborted, false)
    lease.release()
  })

  t.test('from the beginning: each server goes on with its own locks, in doubt', async t => {
    const locks = await locksOn(t, server)
    await server.stop()
    const lease = await locks.acquire('id', forever())
    t.equal(await proofOf(lease).renew(), false)
    t.same(locks.stats(), { held: 1, waited: 0, unlocked: 1 })
    t.equal(await locks.tryAcquire('id'), undefined)
    lease.release()
    ;(await locks.seize('id', forever())).release()
    t.equal(await locks.settled('id', forever()), true)
    t.ok(await locks.tryAcquire('other'))
  })

  t.test('and comes back: who went on without it has to let go of what another server took', async t => {
    const connection = await redisConnection(t, server)
    const locks = await locksOn(t, server, { clock: new FakeClock(), redis: connection })
    await server.stop()
    const [lease, free] = [await locks.acquire('id', forever()), await locks.acquire('free', forever())]
    await server.start()
    const other = await locksOn(t, server)
    const next = await other.acquire('id', forever())
    await until(async () => await connection.ping().then(() => true, () => false))
    await t.rejects(proofOf(lease).renew(), TAKEN_OVER)
    t.equal(await proofOf(free).renew(), false)
    t.equal(await other.tryAcquire('free'), undefined, 'what nobody took is its own again')
    for (const one of [lease, free, next]) one.release()
  })

  t.test('while a request waits for another server: it waits until that one can have lost its lease', async t => {
    const [holder, clock] = [await locksOn(t, server), new FakeClock()]
    const lease = await holder.acquire('id', forever())
    const locks = await locksOn(t, server, { clock })
    const waited = { isOver: false }
    const waiting = locks.acquire('id', forever()).then(lease => { waited.isOver = true; return lease })
    await until(() => locks.stats().waited === 1)
    await server.stop()
    await clock.advance(4900)
    t.equal(waited.isOver, false)
    await clock.advance(200)
    ;(await waiting).release()
    lease.release()
  })

  t.test('and says so once where it answers and refuses', async t => {
    const log = new CapturedLog()
    const locks = await locksOn(t, server, { log: log.logger })
    const admin = server.client(t)
    await admin.config('SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '1')
    for (const id of ['a', 'b', 'c']) (await locks.acquire(id, forever())).release()
    t.equal(locks.stats().unlocked, 3)
    t.equal(log.lines.length, 1)
    t.match(log.lines[0]?.msg, /^redis refuses to lock uploads, going on without it: OOM/)
  })
})
