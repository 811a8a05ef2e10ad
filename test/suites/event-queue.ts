import type { Test } from 'tap'
import type { EventQueue, QueueLimits } from '../../services/notifications/queue.js'
import { ids, serialized } from '../helpers/events.js'

export interface QueueUnderTest {
  /** Opens the queue that belongs to the test; again after it was closed, if it is durable. */
  open (t: Test, limits: QueueLimits): Promise<EventQueue>
  readonly isDurable: boolean
  /** Whether a queue counts bytes too. */
  readonly limitsBytes: boolean
}

const PLENTY: QueueLimits = { events: 10_000, bytes: 64 * 1024 * 1024 }
const never = new AbortController().signal

/** Takes out everything, acknowledged as it comes. */
export async function drained (queue: EventQueue): Promise<string[]> {
  const found: string[] = []
  while (queue.pending > 0) {
    const entry = await queue.next(never)
    if (entry === undefined) break
    found.push(entry.event.id)
    await queue.acknowledge(entry)
  }
  return found
}

/** What every queue of events must do. */
export function eventQueueSuite (t: Test, { open, isDurable, limitsBytes }: QueueUnderTest): void {
  t.test('events come out in the order they were appended in, each the same until it is acknowledged', async t => {
    const queue = await open(t, PLENTY)
    await queue.append(serialized('e0', 'e1'))
    await queue.append(serialized('e2'))
    t.equal(queue.pending, 3)
    t.equal((await queue.next(never))?.event.id, 'e0')
    const again = await queue.next(never)
    t.strictSame(again?.event, serialized('e0')[0]?.event)
    if (again !== undefined) await queue.acknowledge(again)
    t.equal(queue.pending, 2)
    t.strictSame(await drained(queue), ['e1', 'e2'])
    t.equal(queue.pending, 0)
    await queue.close()
  })

  t.test('appends that are not waited for keep their order', async t => {
    const queue = await open(t, PLENTY)
    await Promise.all(ids(500).map(async id => { await queue.append(serialized(id)) }))
    t.strictSame(await drained(queue), ids(500))
    await queue.close()
  })

  t.test('whoever waits gets what is appended later, and nothing when called off', async t => {
    const queue = await open(t, PLENTY)
    const waiting = queue.next(never)
    await queue.append(serialized('e0'))
    const entry = await waiting
    t.equal(entry?.event.id, 'e0')
    if (entry !== undefined) await queue.acknowledge(entry)
    const controller = new AbortController()
    const inVain = queue.next(controller.signal)
    controller.abort()
    t.equal(await inVain, undefined)
    t.equal(await queue.next(controller.signal), undefined)
    await queue.close()
  })

  t.test('the oldest make room for the newest, and are counted', async t => {
    const queue = await open(t, { ...PLENTY, events: 3 })
    await queue.append(serialized('e0', 'e1', 'e2'))
    for (const id of ['e3', 'e4']) await queue.append(serialized(id))
    t.equal(queue.pending, 3)
    t.equal(queue.dropped, 2)
    t.strictSame(await drained(queue), ['e2', 'e3', 'e4'])
    await queue.close()
  })

  t.test('an event that had to make room while it was delivered takes no other with it when it is acknowledged', async t => {
    const queue = await open(t, { ...PLENTY, events: 2 })
    await queue.append(serialized('e0', 'e1'))
    const entry = await queue.next(never)
    await queue.append(serialized('e2'))
    if (entry !== undefined) await queue.acknowledge(entry)
    t.equal(queue.pending, 2)
    t.strictSame(await drained(queue), ['e1', 'e2'])
    await queue.close()
  })

  if (limitsBytes) {
    t.test('so they do when they are too large together', async t => {
      const queue = await open(t, { events: 10_000, bytes: 256 * 1024 })
      for (const id of ids(1000)) await queue.append(serialized(id))
      const left = await drained(queue)
      t.ok(left.length > 100 && left.length < 500, `${left.length} left`)
      t.equal(queue.dropped, 1000 - left.length)
      t.strictSame(left, ids(left.length, 1000 - left.length))
      await queue.close()
    })
  }

  t.test('more than is kept in memory at a time comes out whole', async t => {
    const queue = await open(t, PLENTY)
    await queue.append(serialized(...ids(1500)))
    for (const id of ids(1500, 1500)) await queue.append(serialized(id))
    t.strictSame(await drained(queue), ids(3000))
    await queue.close()
  })

  if (isDurable) {
    t.test('what was not acknowledged is there again after a close, in order, and only that', async t => {
      const first = await open(t, PLENTY)
      await first.append(serialized(...ids(10)))
      for (let i = 0; i < 4; i++) {
        const entry = await first.next(never)
        if (entry !== undefined) await first.acknowledge(entry)
      }
      await first.close()
      const second = await open(t, PLENTY)
      await second.append(serialized('e10'))
      t.strictSame(await drained(second), ids(7, 4))
      await second.close()
      const third = await open(t, PLENTY)
      t.equal(third.pending, 0)
      await third.append(serialized('e11'))
      t.strictSame(await drained(third), ['e11'])
      await third.close()
    })
  }
}
