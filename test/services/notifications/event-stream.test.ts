import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../../registry.js'
import type { RegistryOptions } from '../../../registry.js'
import { OciError } from '../../../services/errors/oci-error.js'
import { EventStream, SlowReader } from '../../../services/notifications/event-stream.js'
import { IN_MEMORY, errorCodes } from '../../helpers/build.js'
import { ids, serialized } from '../../helpers/events.js'
import { blob, pushBlob } from '../../helpers/images.js'

const EVERYTHING = { repositories: [], actions: [] }

t.test('whoever comes back gets what it missed, or is told that not all of it is left', async t => {
  const stream = new EventStream(5)
  stream.publish(serialized(...ids(8)))
  const read = (lastId: string | undefined): string[] => {
    const output = stream.open(EVERYTHING, lastId)
    const text = String(output?.read() ?? '')
    output?.destroy()
    return [...text.matchAll(/^(?:id|event: gap\ndata): (.*)$/gm)].map(([, id = '']) => id)
  }
  t.strictSame(read(undefined), [])
  t.strictSame(read(''), [])
  t.strictSame(read('e7'), [])
  t.strictSame(read('e5'), ['e6', 'e7'])
  t.strictSame(read('e3'), ids(4, 4))
  t.strictSame(read('e1'), ['{"after":"e1"}', ...ids(5, 3)])
})

t.test('an event that is handed over twice is published once', async t => {
  const stream = new EventStream(5)
  const output = stream.open(EVERYTHING, undefined)
  stream.publish(serialized('e0', 'e1'))
  stream.publish(serialized('e1', 'e2'))
  t.strictSame(String(output?.read()).match(/^id: .*$/gm), ['id: e0', 'id: e1', 'id: e2'])
})

t.test('a reader that does not keep up is cut off, and holds up nobody', async t => {
  const stream = new EventStream(5)
  const slow = stream.open(EVERYTHING, undefined)
  const failed = once(slow ?? process, 'error')
  const quick = stream.open(EVERYTHING, undefined)
  let received = 0
  quick?.on('data', (chunk: Buffer) => { received += String(chunk).match(/^id: /gm)?.length ?? 0 })
  for (let i = 0; i < 4000; i++) {
    stream.publish(serialized(`n${i}`))
    if (i % 100 === 0) await new Promise<void>(resolve => { setImmediate(resolve) })
  }
  t.ok((await failed)[0] instanceof SlowReader)
  await new Promise<void>(resolve => { setImmediate(resolve) })
  t.equal(stream.readers, 1)
  t.equal(received, 4000)
  stream.close()
  t.equal(stream.open(EVERYTHING, undefined), undefined)
})

async function listening (t: Test, options: RegistryOptions & { prefix?: string } = {}): Promise<{ app: FastifyInstance, url: string }> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(registry, { ...IN_MEMORY, notifications: { stream: { enabled: true } }, ...options })
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

/** A reader over HTTP; `next` takes that many events out. */
async function reader (t: Test, url: string, headers: Record<string, string> = {}): Promise<{ answer: IncomingMessage, ended: Promise<unknown>, next (count: number): Promise<Array<Record<string, string>>> }> {
  const asked = request(url, { headers }).end()
  t.teardown(() => { asked.destroy() })
  const [answer] = await once(asked, 'response') as [IncomingMessage]
  let text = ''
  let wake = (): void => {}
  answer.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    wake()
  })
  const next = async (count: number): Promise<Array<Record<string, string>>> => {
    for (;;) {
      const blocks = text.split('\n\n')
      const events = blocks.slice(0, -1).filter(block => !block.startsWith(':'))
      if (events.length >= count) {
        text = [...events.slice(count), blocks.at(-1)].join('\n\n')
        return events.slice(0, count).map(block => Object.fromEntries(block.split('\n').map(line => line.split(/: (.*)/s).slice(0, 2) as [string, string])) as Record<string, string>)
      }
      await new Promise<void>(resolve => { wake = resolve })
    }
  }
  answer.on('error', () => {})
  return { answer, ended: new Promise(resolve => { answer.once('close', resolve) }), next }
}

t.test('GET /events streams what happens, filtered by repository and action, and goes on where a reader was', async t => {
  const { app, url } = await listening(t)
  const all = await reader(t, `${url}/events`)
  t.equal(all.answer.statusCode, 200)
  t.equal(all.answer.headers['content-type'], 'text/event-stream')
  t.equal(all.answer.headers['cache-control'], 'no-cache')
  const team = await reader(t, `${url}/events?repository=team/**&action=push&action=delete`)
  const [one, two] = [blob('one'), blob('two')]
  await pushBlob(t, app, 'other/app', one)
  await pushBlob(t, app, 'team/a/b', two)
  await app.inject({ url: `/v2/team/a/b/blobs/${two.digest}` })
  await app.inject({ method: 'DELETE', url: `/v2/team/a/b/blobs/${two.digest}` })
  const events = await all.next(4)
  t.strictSame(events.map(({ event }) => event), ['push', 'push', 'pull', 'delete'])
  const [first] = events
  t.match(JSON.parse(first?.['data'] ?? ''), { id: first?.['id'], action: 'push', target: { repository: 'other/app', digest: one.digest } })
  t.strictSame((await team.next(2)).map(({ event }) => event), ['push', 'delete'])
  const back = await reader(t, `${url}/events`, { 'last-event-id': events[1]?.['id'] ?? '' })
  t.strictSame((await back.next(2)).map(({ id }) => id), events.slice(2).map(({ id }) => id))
})

t.test('it is off unless it is switched on, may be elsewhere, and has the prefix', async t => {
  const off = await listening(t, { notifications: {} })
  t.equal((await off.app.inject('/events')).statusCode, 404)
  const { app, url } = await listening(t, { notifications: { stream: { enabled: true, path: '/hooks/live' } }, prefix: '/under' })
  t.equal((await app.inject('/events')).statusCode, 404)
  const live = await reader(t, `${url}/under/hooks/live`)
  await pushBlob(t, app, 'a', blob('b'), '/under')
  t.equal((await live.next(1)).length, 1)
})

t.test('it needs what the catalog needs', async t => {
  const asked: unknown[] = []
  const accessController = {
    authorize (_request: unknown, records: readonly unknown[]) {
      asked.push(...records)
      throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="r"' } })
    }
  }
  const { app } = await listening(t, { instances: { accessController } })
  t.strictSame(errorCodes(t, await app.inject('/events'), 401), ['UNAUTHORIZED'])
  t.strictSame(asked, [{ type: 'registry', name: 'catalog', action: '*' }])
})

t.test('an action that does not exist is refused', async t => {
  const { app } = await listening(t)
  t.strictSame(errorCodes(t, await app.inject('/events?action=pish'), 400), ['UNSUPPORTED'])
})

t.test('streams end when the registry stops, and do not hold it up', async t => {
  const { app, url } = await listening(t)
  const one = await reader(t, `${url}/events`)
  await app.close()
  await one.ended
  t.equal(one.answer.complete, true)
})
