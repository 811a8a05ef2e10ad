import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import type { Test } from 'tap'
import { drain } from '../../../services/http/drain.js'
import { receive } from '../../../services/http/receive.js'
import { NEVER, errorOf, gate, open, post, serve } from '../../helpers/bodies.js'

const KiB = 1024

/** Refuses every request as soon as its body has begun. */
const refuse = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const failed = await errorOf(receive(request, { signal: NEVER, sink: async () => { throw new Error('disk full') } }))
  drain(request)
  response.statusCode = failed === undefined ? 200 : 507
  response.end('refused')
}

t.test('drain lets a refused client read the answer while it sends, and go on with the connection (R-017)', async t => {
  const host = await serve(t, refuse)
  const client = await open(t, host)
  const length = 3 * KiB * KiB
  client.send(post(host, length) + 'x')
  t.match(await client.answer(), { status: 507, body: 'refused' })
  client.send(Buffer.alloc(length - 1, 'x'))
  client.send(post(host, 0))
  t.match(await client.answer(), { status: 200 }, 'the next request on the same connection')
})

t.test('drain cuts off a client that sends more than 4 MiB after it was refused (R-017)', async t => {
  const host = await serve(t, refuse)
  const client = await open(t, host)
  const length = 32 * KiB * KiB
  client.send(post(host, length) + 'x')
  t.equal((await client.answer()).status, 507)
  client.send(Buffer.alloc(length - 1, 'x'))
  client.send(post(host, 0))
  t.match(await errorOf(client.answer()), { message: /^connection closed/ }, 'no answer to what comes after')
})

interface FakeTimer { readonly run: () => void, readonly unref: () => FakeTimer, unreffed: boolean, cleared: boolean }

/** Catches the timers of ten seconds, which is what drain gives a client. */
function tenSeconds (t: Test): FakeTimer[] {
  const timers: FakeTimer[] = []
  const { setTimeout: set, clearTimeout: clear } = globalThis
  t.intercept(globalThis, 'setTimeout', {
    value: (run: () => void, ms?: number): unknown => {
      if (ms !== 10_000) return set(run, ms)
      const timer: FakeTimer = { run, unref () { this.unreffed = true; return this }, unreffed: false, cleared: false }
      timers.push(timer)
      return timer
    }
  })
  t.intercept(globalThis, 'clearTimeout', {
    value: (timer: unknown): void => {
      const found = timers.find(candidate => candidate === timer)
      if (found === undefined) clear(timer as NodeJS.Timeout)
      else found.cleared = true
    }
  })
  return timers
}

t.test('drain cuts off a client that does not come to its end in ten seconds (R-017)', async t => {
  const timers = tenSeconds(t)
  const host = await serve(t, refuse)
  const client = await open(t, host)
  client.send(post(host, 100) + 'x')
  t.equal((await client.answer()).status, 507)
  t.match(timers, [{ unreffed: true, cleared: false }], 'and keeps no process alive for it')
  const closed = new Promise(resolve => client.socket.once('close', resolve))
  timers[0]?.run()
  await closed
  t.equal(client.socket.destroyed, true)
})

t.test('drain forgets its timer when the request comes to its end', async t => {
  const timers = tenSeconds(t)
  const closed = gate()
  const host = await serve(t, async (request, response) => {
    request.once('close', () => { closed.open() })
    await refuse(request, response)
  })
  const client = await open(t, host)
  client.send(post(host, 2) + 'x')
  t.equal((await client.answer()).status, 507)
  client.send('y')
  await closed.passed
  t.match(timers, [{ cleared: true }])
})

t.test('drain has nothing to do with a request that is complete', async t => {
  const timers = tenSeconds(t)
  const host = await serve(t, async (request, response) => {
    await receive(request, { signal: NEVER, sink: async () => {} })
    drain(request)
    response.end('all read')
  })
  const client = await open(t, host)
  client.send(post(host, 5) + 'hello')
  t.match(await client.answer(), { status: 200, body: 'all read' })
  t.equal(timers.length, 0)
})
