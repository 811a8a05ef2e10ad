import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { EndpointRefused, HttpSink } from '../../../services/notifications/http-sink.js'
import type { HttpSinkOptions } from '../../../services/notifications/http-sink.js'
import { event } from '../../helpers/events.js'
import { Receiver, answer, reset, silence } from '../../helpers/receiver.js'
import type { Behaviour } from '../../helpers/receiver.js'

const never = new AbortController().signal

function sinkTo (t: Test, url: string, options: Partial<HttpSinkOptions> = {}): { sink: HttpSink, statuses: string[] } {
  const statuses: string[] = []
  const sink = new HttpSink({ url, headers: {}, timeout: 5000, format: 'v2', onAnswer: status => { statuses.push(status) }, ...options })
  t.teardown(async () => { await sink.close() })
  return { sink, statuses }
}

t.test('an event is a POST with the configured headers, each of their values', async t => {
  const receiver = await Receiver.start(t)
  const { sink, statuses } = sinkTo(t, receiver.url.replace('//', '//me:p%40ss@'), { headers: { 'X-Key': ['one', 'two'] } })
  await sink.write([event('a')], never)
  const [delivery] = receiver.deliveries
  t.equal(delivery?.method, 'POST')
  t.equal(delivery?.url, '/callback?key=value')
  t.equal(delivery?.headers['content-type'], 'application/vnd.docker.distribution.events.v2+json')
  t.equal(delivery?.headers['x-key'], 'one, two')
  t.equal(delivery?.headers.authorization, `Basic ${Buffer.from('me:p@ss').toString('base64')}`)
  t.strictSame(receiver.events, [event('a')])
  t.strictSame(statuses, ['200 OK'])
})

t.test('one connection is used again and again', async t => {
  const receiver = await Receiver.start(t)
  const { sink } = sinkTo(t, receiver.url)
  for (let i = 0; i < 20; i++) await sink.write([event(String(i))], never)
  t.equal(receiver.deliveries.length, 20)
  t.equal(receiver.connections, 1)
})

t.test('everything from 200 to 399 is a success, and no redirect is followed', async t => {
  for (const status of [200, 201, 202, 204, 301, 302, 304, 307, 399]) {
    const receiver = await Receiver.start(t, answer(status, { location: '/elsewhere' }))
    const { sink } = sinkTo(t, receiver.url)
    await sink.write([event('a')], never)
    t.equal(receiver.count, 1, String(status))
  }
})

t.test('everything else is not', async t => {
  for (const status of [400, 401, 404, 429, 500, 503]) {
    const receiver = await Receiver.start(t, answer(status))
    const { sink, statuses } = sinkTo(t, receiver.url)
    await t.rejects(sink.write([event('a')], never), EndpointRefused)
    t.match(statuses[0], new RegExp(`^${status} `))
  }
})

t.test('what is answered before the event was read counts all the same', async t => {
  const outcomes: Array<[number, boolean]> = [[200, true], [301, true], [500, false]]
  for (const [status, isSuccess] of outcomes) {
    const receiver = await Receiver.start(t, answer(status))
    receiver.reads = false
    const { sink } = sinkTo(t, receiver.url)
    const large = event('large', 'push', 'x'.repeat(200_000))
    for (let i = 0; i < 2; i++) {
      if (isSuccess) await sink.write([large], never)
      else await t.rejects(sink.write([large], never), EndpointRefused)
    }
    t.equal(receiver.count, 2)
  }
})

t.test('an endless answer is not listened to', async t => {
  const endless: Behaviour = (_request, response) => {
    response.writeHead(200)
    const more = (): void => { while (!response.destroyed && response.write(Buffer.alloc(64 * 1024))); }
    response.on('drain', more)
    more()
  }
  const receiver = await Receiver.start(t, endless)
  const { sink } = sinkTo(t, receiver.url)
  for (let i = 0; i < 3; i++) await sink.write([event('a')], never)
  t.equal(receiver.count, 3)
})

t.test('a failure is one when the connection is cut, nobody listens or nobody answers in time', async t => {
  const cut = await Receiver.start(t, reset)
  await t.rejects(sinkTo(t, cut.url).sink.write([event('a')], never))
  const gone = await Receiver.start(t)
  await gone.close()
  await t.rejects(sinkTo(t, gone.url).sink.write([event('a')], never), { code: 'ECONNREFUSED' })
  const silent = await Receiver.start(t, silence)
  await t.rejects(sinkTo(t, silent.url, { timeout: 50 }).sink.write([event('a')], never), /no answer within 50 ms|Timeout/)
  const dripping: Behaviour = (_request, response) => { response.writeHead(200).write('x') }
  const slow = await Receiver.start(t, dripping)
  // The status has arrived, so the event has: only its connection is lost.
  await sinkTo(t, slow.url, { timeout: 200 }).sink.write([event('a')], never)
})

t.test('somebody who speaks no HTTP is a failure', async t => {
  const server = createServer(socket => { socket.end('SSH-2.0-OpenSSH_9.2\r\n') }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const { port } = server.address() as { port: number }
  await t.rejects(sinkTo(t, `http://127.0.0.1:${port}/`).sink.write([event('a')], never))
})

t.test('an attempt is called off at once', async t => {
  const receiver = await Receiver.start(t, silence)
  const { sink } = sinkTo(t, receiver.url)
  const controller = new AbortController()
  const attempt = sink.write([event('a')], controller.signal)
  await receiver.received(1)
  controller.abort()
  await t.rejects(attempt)
})

t.test('a secret signs what is sent, under the id of the event', async t => {
  const receiver = await Receiver.start(t)
  await sinkTo(t, receiver.url, { secret: 'shared', format: 'cloudevents' }).sink.write([event('a')], never)
  const { headers, body } = receiver.deliveries[0] ?? {}
  t.equal(headers?.['webhook-id'], 'a')
  t.ok(Math.abs(Number(headers?.['webhook-timestamp']) - Date.now() / 1000) < 60)
  t.match(headers?.['webhook-signature'], /^v1,[A-Za-z0-9+/]{43}=$/)
  t.match(body, '"specversion":"1.0"')
})
