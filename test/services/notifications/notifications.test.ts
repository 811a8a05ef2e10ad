import t from 'tap'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../../../schemas/config/index.js'
import { parseConfig } from '../../../services/config/parse.js'
import { ConfigError } from '../../../services/errors/config-error.js'
import { endpointVariables } from '../../../services/notifications/debug.js'
import { realClock } from '../../../services/notifications/delivery.js'
import { EventStream } from '../../../services/notifications/event-stream.js'
import { Notifications } from '../../../services/notifications/notifications.js'
import { configuredQueues } from '../../../services/notifications/queues.js'
import { endpointSettings } from '../../../services/notifications/settings.js'
import { alone } from '../../../services/workers/workers.js'
import type { Message, Workers } from '../../../services/workers/workers.js'
import { event, ids, recordingLog } from '../../helpers/events.js'
import { Receiver, answer, silence } from '../../helpers/receiver.js'

type Input = NonNullable<RegistryConfigInput['notifications']>

function start (t: Test, input: Input, { workers = alone(), stream }: { workers?: Workers, stream?: EventStream } = {}): { notifications: Notifications, close: (ms: number) => Promise<void>, log: ReturnType<typeof recordingLog> } {
  const config = parseConfig({ storage: { inmemory: {} }, notifications: input })
  const log = recordingLog()
  const limits = { events: 1000, bytes: 1e8 }
  const queues = configuredQueues(config, { limits, clock: realClock, log: log.log }, undefined)
  const notifications = new Notifications({ endpoints: endpointSettings(config.notifications), queues, workers, stream, limit: 1000, clock: realClock, log: log.log })
  let closed: Promise<void> | undefined
  const close = async (ms: number): Promise<void> => { await (closed ??= notifications.close(AbortSignal.timeout(ms))) }
  t.teardown(async () => { await close(0) })
  return { notifications, close, log }
}

/** Several processes in one; the leader is the first that lives. */
class Server {
  readonly #members: Array<{ handlers: Map<string, (message: Message) => unknown>, subscribed: Map<string, (message: Message) => unknown>, onLead: Array<() => void> }> = []
  readonly #dead = new Set<number>()

  member (count: number): Workers {
    const own = { handlers: new Map<string, (message: Message) => unknown>(), subscribed: new Map<string, (message: Message) => unknown>(), onLead: [] as Array<() => void> }
    const index = this.#members.push(own) - 1
    const leader = (): number => this.#members.findIndex((_, i) => !this.#dead.has(i))
    const copy = (message: Message): Message => JSON.parse(JSON.stringify(message)) as Message
    return {
      id: index + 1,
      count,
      get leads () { return leader() === index },
      onLead (handler) {
        if (leader() === index) handler()
        else own.onLead.push(handler)
      },
      broadcast: async (topic, message) => await Promise.all(this.#members.filter(other => other !== own).map(async other => await other.subscribed.get(topic)?.(copy(message)) as Message)),
      subscribe (topic, handler) { own.subscribed.set(topic, handler) },
      ask: async (topic, message) => {
        const asked = leader()
        const handler = this.#members[asked]?.handlers.get(topic)
        if (handler === undefined) throw new Error('nobody leads')
        const reply = await handler(copy(message)) as Message
        // It took the message, and died before it could say so.
        if (this.#dead.has(asked)) throw new Error('the leader is dead')
        return reply
      },
      serve (topic, handler) { own.handlers.set(topic, handler) }
    }
  }

  die (index: number): void {
    this.#dead.add(index)
    for (const handler of this.#members.find((_, i) => !this.#dead.has(i))?.onLead ?? []) handler()
  }
}

t.test('an endpoint that is dead, slow or refuses holds up neither the others nor whoever emits, nor a stop', async t => {
  const [well, slow, refusing, gone] = [await Receiver.start(t), await Receiver.start(t, silence), await Receiver.start(t, answer(500)), await Receiver.start(t)]
  await gone.close()
  const endpoints = [well, slow, refusing, gone].map(({ url }, i) => ({ name: ['well', 'slow', 'refusing', 'gone'][i] ?? '', url, timeout: '30s', backoff: '10s', threshold: 2 }))
  const { notifications, close, log } = start(t, { endpoints })
  const before = performance.now()
  for (const id of ids(200)) await notifications.emit(event(id))
  const emitted = performance.now() - before
  t.ok(emitted < 1000, `200 events emitted in ${emitted} ms`)
  await well.received(200)
  t.strictSame(well.events.map(({ id }) => id), ids(200))
  const stopping = performance.now()
  await close(100)
  t.ok(performance.now() - stopping < 2000)
  const stats = Object.fromEntries(notifications.endpoints().map(endpoint => [endpoint.settings.name, endpoint.stats()]))
  t.match(stats, { well: { pending: 0, successes: 200, statuses: { '200 OK': 200 } }, slow: { pending: 200, events: 200 }, refusing: { pending: 200, failures: 2, statuses: { '500 Internal Server Error': 2 }, lastError: { message: 'response status 500 Internal Server Error unaccepted' } }, gone: { pending: 200, errors: 2 } })
  t.ok((stats['gone']?.oldestSeconds ?? 0) > 0)
  t.equal(log.lines.filter(({ message }) => message.includes('were not delivered and are lost')).length, 3)
})

t.test('an endpoint gets neither the media types nor the actions that it ignores, in both spellings', async t => {
  const [one, two] = [await Receiver.start(t), await Receiver.start(t)]
  const { notifications } = start(t, {
    endpoints: [
      { name: 'one', url: one.url, ignoredmediatypes: ['type/old'], ignore: { mediatypes: ['type/new'], actions: ['pull'] } },
      { name: 'two', url: two.url },
      { name: 'three', url: 'no URL at all', disabled: true }
    ]
  })
  const of = (id: string, action: 'push' | 'pull', mediaType: string) => ({ ...event(id, action), target: { ...event(id).target, mediaType } })
  for (const each of [of('a', 'push', 'type/old'), of('b', 'push', 'type/new'), of('c', 'pull', 'type/x'), of('d', 'push', 'type/x')]) await notifications.emit(each)
  await two.received(4)
  await one.received(1)
  t.strictSame(one.events.map(({ id }) => id), ['d'])
})

t.test('with several processes the leader delivers what happens in all of them, each in order', async t => {
  const receiver = await Receiver.start(t)
  const server = new Server()
  const members = ['a', 'b', 'c'].map(name => ({ name, ...start(t, { endpoints: [{ name: 'ci', url: receiver.url }] }, { workers: server.member(3) }) }))
  await Promise.all(members.flatMap(({ name, notifications }) => ids(100).map(async id => { await notifications.emit(event(`${name}${id}`)) })))
  await receiver.received(300)
  for (const { name } of members) t.strictSame(receiver.events.map(({ id }) => id).filter(id => id.startsWith(name)), ids(100).map(id => `${name}${id}`))
  t.strictSame(members.map(({ notifications }) => notifications.endpoints().length), [1, 0, 0])
})

t.test('when the leader dies the next one takes up its journal, and what it was asked meanwhile is asked again', async t => {
  const receiver = await Receiver.start(t, answer(500))
  const server = new Server()
  const input: Input = { queue: 'disk', directory: t.testdir(), endpoints: [{ name: 'ci', url: receiver.url, threshold: 1, backoff: '10ms' }] }
  const [leader, next] = [server.member(2), server.member(2)].map(workers => start(t, input, { workers }))
  if (leader === undefined || next === undefined) throw new Error('two were started')
  for (const id of ids(10)) await next.notifications.emit(event(id))
  await receiver.received(1)
  // A process that dies leaves its files as they are, and its lock to nobody.
  await leader.close(0)
  const waiting = ids(10, 10).map(async id => { await next.notifications.emit(event(id)) })
  receiver.behaviour = answer(200)
  server.die(0)
  await Promise.all(waiting)
  await receiver.until(() => receiver.events.at(-1)?.id === 'e19')
  t.strictSame([...new Set(receiver.events.map(({ id }) => id))], ids(20))
})

t.test('a stream in any process has the events of all', async t => {
  const server = new Server()
  const streams = [new EventStream(100), new EventStream(100)]
  const [one, two] = streams.map(stream => start(t, {}, { workers: server.member(2), stream }))
  await two?.notifications.emit(event('e0'))
  await one?.notifications.emit(event('e1'))
  for (const stream of streams) {
    const output = stream.open({ repositories: [], actions: [] }, 'nothing')
    t.strictSame(String(output?.read()).match(/^id: .*$/gm), ['id: e0', 'id: e1'])
  }
})

t.test('nobody listens unless somebody does', async t => {
  const { notifications } = start(t, { endpoints: [{ name: 'off', url: 'http://x', disabled: true }] })
  t.equal(notifications.listens, false)
  const end = notifications.subscribers.on('push', () => {})
  t.equal(notifications.listens, true)
  end()
  t.equal(notifications.listens, false)
  t.equal(start(t, { endpoints: [{ url: 'http://127.0.0.1:9' }] }).notifications.listens, true)
})

t.test('endpoints have the defaults of docker\'s registry, and names of their own', async t => {
  const config = parseConfig({ storage: { inmemory: {} }, notifications: { endpoints: [{ url: 'http://a:1/x', timeout: '-1s', threshold: 0, backoff: '0s' }, { url: 'https://a:1/y' }, { name: 'n', url: 'http://b' }, { name: 'n', url: 'http://b' }] } })
  const settings = endpointSettings(config.notifications)
  t.strictSame(settings.map(({ name }) => name), ['a:1', 'a:1-2', 'n', 'n-2'])
  for (const each of settings) t.match(each, { timeout: 1000, threshold: 10, backoff: 1000, format: 'v2' })
})

t.test('what cannot be used is named, without the passwords in it', async t => {
  const problems = (notifications: Input): readonly string[] => {
    try {
      parseConfig({ storage: { inmemory: {} }, notifications })
    } catch (error) {
      if (error instanceof ConfigError) return error.lines
      throw error
    }
    return []
  }
  t.strictSame(problems({ endpoints: [{ name: 'x' }, { url: 'ftp://me:secret@host' }, { url: 'nonsense', disabled: true }] }), [
    'notifications.endpoints[0].url: is missing',
    'notifications.endpoints[1].url: a URL of http or https is needed'
  ])
  t.strictSame(problems({ queue: 'disk' }), ['notifications.directory: is needed for queue: disk, unless storage.filesystem is used'])
  t.throws(() => start(t, { queue: 'redis' }), { message: 'notifications.queue: redis needs redis to be configured' })
})

t.test('an operator sees an endpoint as in docker\'s registry, and nothing that is secret', async t => {
  const { notifications } = start(t, {
    endpoints: [{ name: 'ci', url: 'http://me:hidden@127.0.0.1:9/x?token=hidden', headers: { Authorization: ['Bearer hidden'] }, secret: 'hidden', timeout: '2s', ignore: { actions: ['pull'] } }]
  })
  const [endpoint] = notifications.endpoints()
  await notifications.opened()
  const shown = notifications.endpoints().map(each => endpointVariables(each.settings, each.stats()))
  t.equal(endpoint, undefined, 'opened in the background')
  t.strictSame(shown, [{
    name: 'ci',
    url: 'http://***:***@127.0.0.1:9/x?token=***',
    Headers: { Authorization: ['***'] },
    Timeout: 2e9,
    Threshold: 10,
    Backoff: 1e9,
    IgnoredMediaTypes: [],
    Ignore: { MediaTypes: [], Actions: ['pull'] },
    Metrics: { Pending: 0, Events: 0, Successes: 0, Failures: 0, Errors: 0, Statuses: {}, Dropped: 0, OldestSeconds: 0, LastError: null }
  }])
})
