import t from 'tap'
import { clientOf } from '../../../services/limits/client.js'
import { Overload } from '../../../services/limits/overload.js'
import { Refusals } from '../../../services/limits/refusals.js'
import { RequestCounts } from '../../../services/limits/request-counts.js'
import { UploadSlots } from '../../../services/limits/upload-slots.js'
import { UploadTable } from '../../../services/limits/upload-table.js'
import { alone } from '../../../services/workers/workers.js'
import { needs } from '../../helpers/clients.js'
import { FakeClock } from '../../helpers/fake-clock.js'
import { recordingLog } from '../../helpers/log.js'
import { redisConnection, startRedis } from '../../helpers/redis.js'
import { TestWorkers } from '../../helpers/workers.js'

t.test('a client is its user, or else its address, of IPv6 its network; never something long', async t => {
  t.equal(clientOf('ann', '10.0.0.1'), 'user:ann')
  t.equal(clientOf(undefined, '10.0.0.1'), 'address:10.0.0.1')
  t.equal(clientOf(undefined, '2001:db8::1'), clientOf(undefined, '2001:db8::ffff:1'))
  t.not(clientOf('10.0.0.1', undefined), clientOf(undefined, '10.0.0.1'))
  const [long, other] = ['a', 'b'].map(end => clientOf('x'.repeat(60_000) + end, undefined))
  t.ok((long ?? '').length <= 128)
  t.not(long, other)
})

t.test('a refusal says when to come back in whole seconds, at least one', async t => {
  t.same([0, 1, 1000, 1001].map(ms => new Overload('requests', ms).headers['retry-after']), ['1', '1', '1', '2'])
  t.match(new Overload('requests', 1), { status: 429, code: 'TOOMANYREQUESTS' })
  t.match(new Overload('uploadsOfClient', 1), { status: 429 })
  t.match(new Overload('uploads', 1), { status: 503, code: 'UNAVAILABLE' })
  t.match(new Overload('heap', 1), { status: 503 })
})

t.test('a flood of refusals is one line every ten seconds, with how many there were', async t => {
  let now = 0
  const { log, lines } = recordingLog()
  const refusals = new Refusals(log, () => now)
  for (let i = 0; i < 100; i++) refusals.refuse('uploads', 1)
  refusals.refuse('heap', 1)
  t.same(lines, ['warn: requests are refused: too many uploads at a time', 'warn: requests are refused: the server is overloaded'])
  now = 10_000
  refusals.refuse('uploads', 1)
  t.equal(lines.length, 3)
  t.match(refusals.counts, { uploads: 101, heap: 1, requests: 0 })
})

t.test('requests are counted for each client until its interval is over', async t => {
  let now = 0
  const counts = new RequestCounts({ intervalMs: 1000, workers: alone(), now: () => now })
  t.same(await counts.add('a'), { count: 1, resetMs: 1000 })
  now = 400
  t.same([await counts.add('a'), await counts.add('b')], [{ count: 2, resetMs: 600 }, { count: 1, resetMs: 1000 }])
  now = 1000
  t.same([await counts.add('a'), await counts.add('b')], [{ count: 1, resetMs: 1000 }, { count: 2, resetMs: 400 }])
})

t.test('processes of one server count together', async t => {
  const group = new TestWorkers()
  const all = [await group.join(), await group.join()].map(workers => new RequestCounts({ intervalMs: 1000, workers, now: () => 0 }))
  const counted = []
  for (const counts of [...all, ...all]) counted.push((await counts.add('a')).count)
  t.same(counted, [1, 2, 3, 4])
})

t.test('servers that share a Redis count together; while it is away each counts for itself', needs('redis-server'), async t => {
  const server = await startRedis(t)
  const { log, lines } = recordingLog()
  const servers = await Promise.all([1, 2].map(async () => new RequestCounts({ intervalMs: 60_000, workers: alone(), redis: await redisConnection(t, server, { log }) })))
  const counted = []
  for (const counts of [...servers, ...servers]) counted.push((await counts.add('a')).count)
  t.same(counted, [1, 2, 3, 4])
  const [key = ''] = await server.client(t).keys('*')
  const left = await server.client(t).pttl(key)
  t.ok(left > 0 && left <= 60_000, `${key} goes by itself: ${left}`)
  await server.client(t).persist(key)
  t.match(await servers[0]?.add('a'), { count: 5, resetMs: 60_000 }, 'a key without an end gets one')
  await server.stop()
  t.same(await Promise.all(servers.map(async counts => (await counts.add('a')).count)), [1, 1])
  t.equal(lines.filter(line => line.startsWith('warn: redis is not available')).length, 2, 'one line for each')
})

t.test('a table lets in as many as there may be, in all and of one client, and again when some have left', async t => {
  const table = new UploadTable({ max: 3, perClient: 2 }, () => 0)
  const enter = (id: number, client: string): string | undefined => table.enter({ process: 1, id, client })
  t.same([enter(1, 'a'), enter(2, 'a'), enter(3, 'a'), enter(4, 'b'), enter(5, 'b')], [undefined, undefined, 'uploadsOfClient', undefined, 'uploads'])
  table.leave({ process: 1, id: 3 })
  t.equal(enter(6, 'b'), 'uploads', 'one that was refused holds nothing')
  table.leave({ process: 1, id: 1 })
  table.leave({ process: 1, id: 1 })
  t.same([enter(7, 'b'), enter(8, 'c')], [undefined, 'uploads'], 'leaving twice frees once')
})

t.test('what a process held is free when nothing was heard of it for half a minute', async t => {
  let now = 0
  const table = new UploadTable({ max: 2, perClient: 0 }, () => now)
  table.enter({ process: 1, id: 1, client: 'a' })
  table.enter({ process: 2, id: 1, client: 'a' })
  now = 29_999
  table.renew(1, [[1, 'a']])
  t.equal(table.enter({ process: 3, id: 1, client: 'a' }), 'uploads')
  now = 30_000
  t.same([table.enter({ process: 3, id: 1, client: 'a' }), table.enter({ process: 3, id: 2, client: 'a' })], [undefined, 'uploads'])
})

t.test('uploads are counted over all processes; a new leader hears what the others hold', async t => {
  const group = new TestWorkers()
  const clock = new FakeClock()
  const { log } = recordingLog()
  const members = [await group.join(3), await group.join(3), await group.join(3)]
  const [first, second, third] = members.map(workers => new UploadSlots({ limits: { max: 2, perClient: 0 }, workers, log, clock, now: () => 0 })) as [UploadSlots, UploadSlots, UploadSlots]
  t.teardown(async () => { await Promise.all([first, second, third].map(async slots => { await slots.close() })) })
  const dies = first.enter('a')
  t.equal(await dies.refused, undefined)
  const stays = second.enter('a')
  t.equal(await stays.refused, undefined)
  t.equal(await third.enter('b').refused, 'uploads')
  t.same([first.count, second.count, third.count], [1, 1, 0])

  group.kill(1)
  await new Promise<void>(resolve => { members[1]?.onLead(resolve) })
  await clock.advance(10_000)
  t.equal(await third.enter('b').refused, undefined, 'what the dead one held is free')
  t.equal(await third.enter('b').refused, 'uploads', 'the new leader knows of its own')
  await stays.leave()
  t.equal(await third.enter('b').refused, undefined)
})

t.test('an upload that is over before anybody knows whether it was let in holds nothing', async t => {
  const { log } = recordingLog()
  const slots = new UploadSlots({ limits: { max: 1, perClient: 0 }, workers: alone(), log })
  t.teardown(async () => { await slots.close() })
  const { refused, leave } = slots.enter('a')
  await leave()
  await refused
  t.equal(slots.count, 0)
  t.equal(await slots.enter('a').refused, undefined)
})
