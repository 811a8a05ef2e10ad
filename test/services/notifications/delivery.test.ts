import t from 'tap'
import type { Test } from 'tap'
import { Delivery } from '../../../services/notifications/delivery.js'
import type { DeliveryOptions } from '../../../services/notifications/delivery.js'
import { MemoryQueue } from '../../../services/notifications/memory-queue.js'
import type { EventQueue } from '../../../services/notifications/queue.js'
import { FakeClock, ids, recordingLog, serialized } from '../../helpers/events.js'
import type { LogLine } from '../../helpers/events.js'

const LIMITS = { events: 1000, bytes: 1e9 }

interface Setup { readonly queue: EventQueue, readonly delivery: Delivery, readonly clock: FakeClock, readonly attempts: string[], readonly lines: LogLine[], until (count: number): Promise<void> }

/** A delivery to a sink that fails as told, attempt by attempt. */
function setup (t: Test, fails: (attempt: number) => boolean, options: Partial<DeliveryOptions> = {}): Setup {
  const queue = options.queue ?? new MemoryQueue(LIMITS)
  const clock = new FakeClock()
  const { log, lines } = recordingLog()
  const attempts: string[] = []
  let wake = (): void => {}
  const delivery = new Delivery({
    name: 'ci',
    queue,
    threshold: 3,
    backoff: 5000,
    clock,
    log,
    onDelivered () {},
    onFailed () {},
    sink: {
      async write ([event]) {
        const failed = fails(attempts.push(event?.id ?? ''))
        wake()
        if (failed) throw new Error('refused')
      }
    },
    ...options
  })
  t.teardown(async () => { await delivery.close(AbortSignal.abort()) })
  const until = async (count: number): Promise<void> => {
    while (attempts.length < count) await new Promise<void>(resolve => { wake = resolve })
  }
  return { queue, delivery, clock, attempts, lines, until }
}

t.test('each event is tried until it is taken; the next one waits for it', async t => {
  const { queue, attempts, until } = setup(t, attempt => [1, 2, 4].includes(attempt))
  await queue.append(serialized(...ids(3)))
  await until(6)
  t.strictSame(attempts, ['e0', 'e0', 'e0', 'e1', 'e1', 'e2'])
})

t.test('after threshold failures in a row every attempt is preceded by backoff, until one succeeds', async t => {
  const { queue, clock, attempts, until } = setup(t, attempt => attempt <= 5 || attempt === 7)
  await queue.append(serialized(...ids(3)))
  await until(9)
  t.strictSame(attempts, [...Array<string>(6).fill('e0'), 'e1', 'e1', 'e2'])
  t.strictSame(clock.slept, [5000, 5000, 5000])
})

t.test('an outage is logged when it begins and when it ends, not for every attempt', async t => {
  const { queue, delivery, lines, until } = setup(t, attempt => attempt <= 20)
  await queue.append(serialized('e0', 'e1'))
  await until(22)
  await delivery.close(AbortSignal.timeout(1000))
  t.match(lines.filter(({ level }) => level !== 'debug'), [
    { level: 'warn', message: 'notifications: ci takes no events; trying again every 5000 ms', fields: { endpoint: 'ci', pending: 2 } },
    { level: 'info', message: 'notifications: ci takes events again, after 90 s' }
  ])
  t.equal(lines.filter(({ level }) => level !== 'debug').length, 2)
})

t.test('a failure now and then is no outage', async t => {
  const { queue, delivery, lines, clock, until } = setup(t, attempt => attempt % 3 !== 0)
  await queue.append(serialized(...ids(5)))
  await until(15)
  await delivery.close(AbortSignal.timeout(1000))
  t.strictSame(clock.slept, [])
  t.strictSame(lines.filter(({ level }) => level !== 'debug'), [])
})

t.test('closing waits for what is in the queue', async t => {
  const { queue, delivery, attempts } = setup(t, () => false)
  await queue.append(serialized(...ids(50)))
  await delivery.close(AbortSignal.timeout(10_000))
  t.strictSame(attempts, ids(50))
  t.equal(queue.pending, 0)
})

t.test('closing waits no longer than it may, and what was under way is still to be delivered', async t => {
  const stop = new AbortController()
  const { queue, delivery, until } = setup(t, () => false, {
    sink: { write: async (_events, signal) => { await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(new Error('called off')) }) }) } }
  })
  await queue.append(serialized('e0'))
  const closed = delivery.close(stop.signal)
  stop.abort()
  await closed
  t.equal(queue.pending, 1)
  t.equal(await until(0), undefined)
})

t.test('a durable queue does not wait for an endpoint that is known to be down', async t => {
  const durable = Object.assign(new MemoryQueue(LIMITS), { isDurable: true })
  const { delivery, queue, until } = setup(t, () => true, { queue: durable })
  await queue.append(serialized('e0'))
  await until(4)
  await delivery.close(new AbortController().signal)
  t.equal(queue.pending, 1)
})

t.test('an event that had to make room is not tried any more', async t => {
  let isUp = false
  const { queue, attempts, until } = setup(t, () => !isUp, { queue: new MemoryQueue({ ...LIMITS, events: 1 }) })
  await queue.append(serialized('e0'))
  await until(1)
  await queue.append(serialized('e1'))
  isUp = true
  await until(attempts.length + 1)
  t.equal(attempts.at(-1), 'e1')
})
