import t from 'tap'
import { LocalUploadLocks } from '../../../services/uploads/locks.js'
import { SharedUploadLocks } from '../../../services/uploads/shared-locks.js'
import { TestWorkers } from '../../helpers/workers.js'

const never = (): AbortSignal => new AbortController().signal

async function locksOf (all: TestWorkers, idleMs: number): Promise<SharedUploadLocks> {
  return new SharedUploadLocks((await all.join()).ownership, new LocalUploadLocks({ idleMs }))
}

/** Turns of the event loop: enough for messages between processes to arrive and be answered. */
async function turns (count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => { setImmediate(resolve) })
}

t.test('a session has one holder in all processes, and the next one gets it when that is done', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 60_000), await locksOf(all, 60_000)]
  const first = await a.acquire('id', never())
  const order: string[] = []
  const second = b.acquire('id', never()).then(lease => { order.push('b'); return lease })
  await turns()
  t.same(order, [])
  t.equal(first.signal.aborted, false, 'a holder that is alive is not told to stop')
  order.push('a is done')
  first.release()
  const lease = await second
  t.same(order, ['a is done', 'b'])
  lease.release()
  ;(await a.acquire('id', never())).release()
})

t.test('a holder in another process from whom nothing is heard is told to stop', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 0), await locksOf(all, 0)]
  const first = await a.acquire('id', never())
  first.signal.addEventListener('abort', () => { first.release() })
  const second = await b.acquire('id', never())
  t.equal(first.signal.aborted, true)
  second.release()
})

t.test('a holder in another process is made to let go at once of a session that is cancelled', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 60_000), await locksOf(all, 60_000)]
  const first = await a.acquire('id', never())
  first.signal.addEventListener('abort', () => { first.release() })
  const second = await b.seize('id', never())
  t.equal(first.signal.aborted, true)
  second.release()
})

t.test('whoever waits in the process that gives a session up waits for it again', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 60_000), await locksOf(all, 60_000)]
  const order: string[] = []
  const first = await a.acquire('id', never())
  const take = async (name: string, locks: SharedUploadLocks): Promise<void> => {
    const lease = await locks.acquire('id', never())
    order.push(`${name} has it`)
    await turns()
    order.push(`${name} is done`)
    lease.release()
  }
  const others = [take('b', b), take('a', a), take('b', b), take('a', a)]
  await turns()
  first.release()
  await Promise.all(others)
  t.equal(order.length, 8)
  for (let i = 0; i < order.length; i += 2) t.equal(order[i]?.replace('has it', 'is done'), order[i + 1], 'nobody has it beside another')
})

t.test('a session of a process that died is free', async t => {
  const all = new TestWorkers()
  const workers = await all.join()
  const a = new SharedUploadLocks(workers.ownership, new LocalUploadLocks({ idleMs: 60_000 }))
  const b = await locksOf(all, 60_000)
  const first = await a.acquire('id', never())
  // Its part in this process waits on, with a timer that would hold up the end of the test.
  t.teardown(() => { first.release() })
  const second = b.acquire('id', never())
  await turns()
  all.kill(workers.id)
  ;(await second).release()
})

t.test('a caller that goes away while it waits leaves nothing behind', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 60_000), await locksOf(all, 60_000)]
  const first = await a.acquire('id', never())
  const gone = new AbortController()
  const second = b.acquire('id', gone.signal)
  await turns()
  gone.abort(new Error('went away'))
  await t.rejects(second, { message: 'went away' })
  first.release()
  ;(await a.acquire('id', never())).release()
  ;(await b.acquire('id', never())).release()
})

t.test('whether a session is at rest is known to the process that has it', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 5), await locksOf(all, 5)]
  t.equal(await b.settled('id', never()), true, 'nobody has it')
  const lease = await a.acquire('id', never())
  const asked = b.settled('id', never())
  const touching = setInterval(() => { lease.touch() }, 1)
  t.teardown(() => { clearInterval(touching) })
  t.equal(await asked, false, 'its holder receives')
  clearInterval(touching)
  lease.release()
  t.equal(await b.settled('id', never()), true)
})

t.test('of many requests in several processes one has the session at any time', async t => {
  const all = new TestWorkers()
  const locks = [await locksOf(all, 60_000), await locksOf(all, 60_000), await locksOf(all, 60_000)]
  let holders = 0
  let most = 0
  let done = 0
  await Promise.all(Array.from({ length: 90 }, async (_, i) => {
    const one = locks[i % 3] as SharedUploadLocks
    const lease = await one.acquire('id', never())
    most = Math.max(most, ++holders)
    await turns(i % 4)
    holders--
    done++
    lease.release()
  }))
  t.equal(done, 90)
  t.equal(most, 1)
})

t.test('a session is had without waiting where nobody in any process has it', async t => {
  const all = new TestWorkers()
  const [a, b] = [await locksOf(all, 60_000), await locksOf(all, 60_000)]
  const lease = await a.acquire('id', never())
  t.equal(await b.tryAcquire('id'), undefined, 'another process has it')
  t.equal(await a.tryAcquire('id'), undefined, 'another request has it')
  lease.release()
  const free = await b.tryAcquire('id')
  t.ok(free)
  t.equal(await a.tryAcquire('id'), undefined)
  const waiting = a.acquire('id', never())
  await turns()
  free?.release()
  ;(await waiting).release()
})
