import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { Pool } from 'undici'
import type { RegistryEvent } from '../../services/notifications/event.js'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { image } from '../helpers/images.js'
import { startProduct } from '../helpers/product.js'
import type { Product } from '../helpers/product.js'
import { Receiver, answer, ok, reset, silence } from '../helpers/receiver.js'
import type { Behaviour } from '../helpers/receiver.js'

/** What a receiver took, in order: the events that it answered with success. */
class Taken {
  readonly ids = new Set<string>()
  /** Numbers of tags, in the order in which they came for the first time. */
  readonly tags = new Set<number>()

  /** Takes an event and notes it. */
  taking (receiver: Receiver): Behaviour {
    return (request, response, count) => {
      const { events: [event] } = JSON.parse(receiver.deliveries.pop()?.body ?? '') as { events: [RegistryEvent] }
      this.ids.add(event.id)
      this.tags.add(Number(event.target.tag?.slice(1)))
      ok(request, response, count)
    }
  }

  /** Takes five sixths of what it gets; of the rest it refuses some, cuts some off, and leaves some without an answer. */
  flapping (receiver: Receiver): Behaviour {
    const take = this.taking(receiver)
    return (request, response, count) => {
      const behaviour = count % 30 < 25 ? take : count % 300 === 299 ? silence : count % 2 === 0 ? reset : answer(500)
      behaviour(request, response, count)
    }
  }
}

function endpoint (receiver: Receiver, name = 'ci') {
  return { name, url: receiver.url, timeout: '50ms', threshold: 5, backoff: '2ms', ignoredmediatypes: ['application/octet-stream'] }
}

async function start (t: Test, directory: string, receiver: Receiver, notifications = {}, storage: RegistryConfigInput['storage'] = { filesystem: { rootdirectory: join(directory, 'data'), fsync: false } }): Promise<Product> {
  return await startProduct(t, directory, {
    storage,
    log: { level: 'info', accesslog: { disabled: true } },
    notifications: { endpoints: [endpoint(receiver)], ...notifications }
  })
}

const manifest = image('crash')

/** Tags of one push. */
const TAGS = 50

/** Pushes the manifest under the tags `t<next>`, … and counts what is acknowledged, until the server is gone. */
async function push (url: string, progress: { next: number }, to: number): Promise<void> {
  const pool = new Pool(url, { connections: 1 })
  try {
    while (progress.next < to) {
      const count = Math.min(TAGS, to - progress.next)
      const query = numbers(count).map(i => `tag=t${progress.next + i}`).join('&')
      const { statusCode, body } = await pool.request({ method: 'PUT', path: `/v2/a/manifests/${manifest.digest}?${query}`, headers: { 'content-type': manifest.mediaType }, body: manifest.bytes })
      await body.dump()
      if (statusCode !== 201) throw new Error(`push ${progress.next}: ${statusCode}`)
      progress.next += count
    }
  } finally {
    await pool.destroy()
  }
}

async function pushBlobs (url: string): Promise<void> {
  for (const { bytes, digest } of manifest.blobs) {
    await fetch(`${url}/v2/a/blobs/uploads/?digest=${digest}`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: new Uint8Array(bytes) })
  }
}

t.test('killed in the middle of 10,000 events to a flapping endpoint: after the restart all have arrived, in order', async t => {
  const TOTAL = 10_000
  // What is stored is of no interest here.
  const [notifications, storage] = [{ queue: 'disk', directory: t.testdir() }, { inmemory: {} }] as const
  const { directory } = notifications
  const receiver = await Receiver.start(t)
  const taken = new Taken()
  receiver.behaviour = taken.flapping(receiver)
  const first = await start(t, directory, receiver, notifications, storage)
  await pushBlobs(first.url)
  const progress = { next: 0 }
  await push(first.url, progress, TOTAL / 2)
  // Killed while it takes pushes and delivers, at the same time.
  const dying = t.rejects(push(first.url, progress, TOTAL))
  await receiver.until(() => progress.next > TOTAL / 2 + 100)
  await first.stop('SIGKILL')
  await dying
  const before = taken.tags.size
  t.ok(before > 100 && before < progress.next, `${progress.next} pushes were acknowledged, ${before} had arrived when it was killed`)
  const second = await start(t, directory, receiver, notifications, storage)
  await pushBlobs(second.url)
  await push(second.url, progress, TOTAL)
  await receiver.until(() => taken.tags.has(TOTAL - 1))
  t.strictSame([...taken.tags], numbers(TOTAL))
  // The push that was under way when it was killed has happened twice, or in part.
  t.ok(taken.ids.size - TOTAL <= TAGS, 'each under one id')
  t.equal(await second.stop(), 0)
})

t.test('what an endpoint did not take before a stop it gets after the next start', async t => {
  const directory = t.testdir()
  const receiver = await Receiver.start(t)
  await receiver.close()
  const first = await start(t, directory, receiver)
  await pushBlobs(first.url)
  await push(first.url, { next: 0 }, 20)
  t.equal(await first.stop(), 0)
  t.strictSame(await readdir(join(directory, 'data', 'notifications', 'ci')), ['0000000000000000.log', 'acknowledged'])
  const back = await Receiver.start(t, ok, receiver.port)
  const second = await start(t, directory, back)
  await back.until(() => back.deliveries.at(-1)?.body.includes('"t19"') === true)
  t.strictSame([...new Set(back.events.map(({ target }) => target.tag))], numbers(20).map(i => `t${i}`))
  t.equal(await second.stop(), 0)
})

function numbers (count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

t.test('a queue in memory is lost with the process, and that is said', async t => {
  const directory = t.testdir()
  const receiver = await Receiver.start(t, answer(500))
  const product = await start(t, directory, receiver, { queue: 'memory', draintimeout: '200ms' })
  await pushBlobs(product.url)
  await push(product.url, { next: 0 }, 3)
  await receiver.received(6)
  const stopping = Date.now()
  t.equal(await product.stop(), 0)
  t.ok(Date.now() - stopping < 5000)
  t.match((await product.ended).stderr, /ci takes no events; trying again every 2 ms/)
  t.match((await product.ended).stderr, /3 events for ci were not delivered and are lost/)
  t.equal((await product.ended).stderr.match(/takes no events/g)?.length, 1)
})

t.test('two servers do not share a journal', async t => {
  const directory = t.testdir()
  const receiver = await Receiver.start(t)
  await start(t, directory, receiver)
  const other = join(directory, 'other')
  await mkdir(other)
  await t.rejects(startProduct(t, other, {
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    notifications: { endpoints: [endpoint(receiver)] }
  }), /notifications\.directory: another process uses .*data\/notifications\n$/)
})
