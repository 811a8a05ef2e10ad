import { EventEmitter } from 'node:events'
import t from 'tap'
import { RedisConnection } from '../../../services/redis/connection.js'
import type { RedisClient } from '../../../services/redis/connection.js'
import { needs } from '../../helpers/clients.js'
import { redisConnection, startRedis } from '../../helpers/redis.js'

class FakeClient extends EventEmitter implements RedisClient {
  status = 'ready'
  calls = 0
  answer: () => Promise<unknown> = async () => 'PONG'

  async call (): Promise<unknown> {
    this.calls++
    return await this.answer()
  }
}

interface Made { readonly client: FakeClient, readonly connection: RedisConnection, readonly log: string[], readonly clock: { now: number } }

function make ({ timeoutMs = 1000, maxActive = 10 } = {}): Made {
  const client = new FakeClient()
  const log: string[] = []
  const clock = { now: 0 }
  const note = (...args: unknown[]): void => { log.push(String(args.at(-1))) }
  return { client, log, clock, connection: new RedisConnection({ client, timeoutMs, maxActive, log: { warn: note, info: note }, now: () => clock.now }) }
}

const unavailable = { name: 'RedisUnavailable' }
const replyError = Object.assign(new Error('OOM'), { name: 'ReplyError' })

t.test('a server that is there answers', async t => {
  const { connection, log } = make()
  await connection.ping()
  t.same(log, [])
  t.equal(connection.active, 0)
})

t.test('without a connection nothing waits, and the log says so once', async t => {
  const { client, connection, log } = make()
  client.status = 'reconnecting'
  for (let i = 0; i < 3; i++) await t.rejects(connection.ping(), unavailable)
  t.equal(client.calls, 0)
  t.same(log, ['redis is not available, going on without it: not connected'])
  client.status = 'ready'
  await connection.ping()
  await connection.ping()
  t.same(log.slice(1), ['redis answers again'])
})

t.test('a server that does not answer in time is left alone for a second, then one operation tries it', async t => {
  const { client, connection, log, clock } = make({ timeoutMs: 5 })
  client.answer = async () => await new Promise(() => {})
  await t.rejects(connection.ping(), { ...unavailable, message: 'redis is not available: no answer within 5 ms' })
  for (let i = 0; i < 10; i++) await t.rejects(connection.ping(), unavailable)
  t.equal(client.calls, 1)
  clock.now = 1000
  await Promise.allSettled(Array.from({ length: 10 }, async () => { await connection.ping() }))
  t.equal(client.calls, 2, 'one of ten')
  client.answer = async () => 'PONG'
  await t.rejects(connection.ping(), unavailable)
  clock.now = 3000
  await connection.ping()
  await connection.ping()
  t.same(log, ['redis is not available, going on without it: no answer within 5 ms', 'redis answers again'])
})

t.test('more operations than may be under way are refused, not queued', async t => {
  const { client, connection, log } = make({ maxActive: 2 })
  const { promise, resolve } = deferred()
  client.answer = async () => { await promise }
  const running = [connection.ping(), connection.ping()]
  for (let i = 0; i < 3; i++) await t.rejects(connection.ping(), { ...unavailable, message: 'redis is not available: 2 operations are under way' })
  t.equal(client.calls, 2)
  t.equal(connection.active, 2)
  resolve()
  await Promise.all(running)
  await connection.ping()
  t.same(log, ['redis is busy, going on without it'])
})

t.test('what Redis refuses is an answer: the connection stays in use', async t => {
  const { client, connection, log } = make()
  client.answer = async () => { throw replyError }
  for (let i = 0; i < 3; i++) await t.rejects(connection.ping(), replyError)
  t.equal(client.calls, 3)
  t.same(log, [])
})

t.test('a client that is used by others gets its listeners back', async t => {
  const { client, connection } = make()
  let ready = 0
  connection.onReady(() => { ready++ })
  client.emit('ready')
  connection.close()
  client.emit('ready')
  t.equal(ready, 1)
  t.equal(client.listenerCount('ready'), 0)
})

t.test('PING of a real server, up and down', needs('redis-server'), async t => {
  const server = await startRedis(t)
  const connection = await redisConnection(t, server)
  await connection.ping()
  await server.stop()
  await t.rejects(connection.ping(), unavailable)
})

function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>(_resolve => { resolve = _resolve })
  return { promise, resolve }
}
