import t from 'tap'
import type { Test } from 'tap'
import { realClock } from '../../../services/notifications/delivery.js'
import type { QueueLimits } from '../../../services/notifications/queue.js'
import { RedisQueue } from '../../../services/notifications/redis-queue.js'
import type { RedisCommands } from '../../../services/notifications/redis-queue.js'
import { needs } from '../../helpers/clients.js'
import { FakeClock, ids, recordingLog, serialized } from '../../helpers/events.js'
import { startRedis } from '../../helpers/redis.js'
import { drained, eventQueueSuite } from '../../suites/event-queue.js'

const PLENTY = { events: 10_000, bytes: 64 * 1024 * 1024 }
const never = new AbortController().signal

t.test('queues in Redis', needs('redis-server'), async t => {
  const server = await startRedis(t)
  const client = server.client(t)
  let tests = 0

  const names = new WeakMap<Test, string>()
  const open = (t: Test, limits: QueueLimits = PLENTY, redis: RedisCommands = client, clock = realClock): RedisQueue => {
    const name = names.get(t) ?? `endpoint ${tests++}`
    names.set(t, name)
    return new RedisQueue({ redis, name, limits, clock, log: recordingLog().log })
  }

  eventQueueSuite(t, { open: async (t, limits) => open(t, limits), isDurable: true, limitsBytes: false })

  t.test('servers share a queue: one of them delivers, in the order that all of them appended in', async t => {
    const [one, two] = [open(t), open(t)]
    await one.append(serialized('e0'))
    await two.append(serialized('e1'))
    await one.append(serialized('e2'))
    t.equal((await one.next(never))?.event.id, 'e0')
    const stop = new AbortController()
    const other = two.next(stop.signal)
    t.strictSame(await drained(one), ids(3))
    stop.abort()
    t.equal(await other, undefined)
    for (const queue of [one, two]) await queue.close()
  })

  t.test('when the one that delivers goes, another one takes up what was not acknowledged', async t => {
    const [one, two] = [open(t), open(t)]
    await two.append(serialized(...ids(100)))
    for (let i = 0; i < 10; i++) {
      const entry = await one.next(never)
      if (entry !== undefined) await one.acknowledge(entry)
    }
    t.equal((await one.next(never))?.event.id, 'e10')
    await one.close()
    t.strictSame(await drained(two), ids(90, 10))
    await two.close()
  })

  t.test('when it dies without a word, that happens as soon as its lease is over', async t => {
    const dead = open(t, PLENTY, client, new FakeClock())
    await dead.append(serialized(...ids(3)))
    t.teardown(async () => { await dead.close() })
    t.equal((await dead.next(never))?.event.id, 'e0')
    const two = open(t)
    const [lease] = await client.keys(`*${names.get(t) ?? ''}*:lease`)
    t.ok(await client.pttl(lease ?? '') <= 10_000)
    // What Redis does when the time is over, without waiting for it.
    await client.del(lease ?? '')
    t.equal((await two.next(never))?.event.id, 'e0')
    t.strictSame(await drained(two), ids(3))
    await two.close()
  })

  t.test('while Redis is away events wait in memory, and nothing is lost or turned around', async t => {
    let isAway = false
    const flaky: RedisCommands = {
      async call (command, ...args) {
        if (isAway) throw new Error('redis is away')
        return await client.call(command, ...args)
      }
    }
    const queue = open(t, PLENTY, flaky)
    await queue.append(serialized('e0'))
    isAway = true
    const appended = [queue.append(serialized('e1')), queue.append(serialized('e2'))]
    t.equal(queue.pending, 3)
    isAway = false
    await Promise.all(appended)
    t.strictSame(await drained(queue), ids(3))
    await queue.close()
  })

  t.test('an emptied Redis is as good as a new one', async t => {
    const queue = open(t)
    await queue.append(serialized('e0'))
    t.equal((await queue.next(never))?.event.id, 'e0')
    await client.flushall()
    await queue.append(serialized('e1'))
    const entry = await queue.next(never)
    // What was read before is delivered; what is new comes after it.
    if (entry !== undefined) await queue.acknowledge(entry)
    t.equal((await queue.next(never))?.event.id, 'e1')
    await queue.close()
  })
})
