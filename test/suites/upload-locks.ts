import { getEventListeners } from 'node:events'
import type { Test } from 'tap'
import { forever } from '../../services/uploads/locks.js'
import type { UploadLocks } from '../../services/uploads/locks.js'

export interface LocksUnderTest {
  /** Locks of the same sessions, as different processes or servers see them; what is one for all may be given several times. */
  open (t: Test, options: { readonly idleMs: number }): Promise<readonly [UploadLocks, UploadLocks, UploadLocks]>
  /** Lets everything arrive that was said until now, and its answer. */
  turns (): Promise<void>
}

const PATIENT = { idleMs: 60_000 }

/** What all locks of upload sessions must do. */
export function uploadLocksSuite (t: Test, { open, turns }: LocksUnderTest): void {
  t.test('a session has one holder anywhere, and the next one gets it when that is done', async t => {
    const [a, b] = await open(t, PATIENT)
    const first = await a.acquire('id', forever())
    const order: string[] = []
    const second = b.acquire('id', forever()).then(lease => { order.push('b'); return lease })
    await turns()
    t.same(order, [])
    t.equal(first.signal.aborted, false, 'a holder that is alive is not told to stop')
    order.push('a is done')
    first.release()
    const lease = await second
    t.same(order, ['a is done', 'b'])
    lease.release()
    ;(await a.acquire('id', forever())).release()
  })

  t.test('sessions do not wait for each other', async t => {
    const [a, b] = await open(t, PATIENT)
    const leases = [await a.acquire('one', forever()), await b.acquire('two', forever()), b.fresh('three')]
    for (const lease of leases) t.equal(lease.signal.aborted, false)
    for (const lease of leases) lease.release()
  })

  t.test('a new session is had by the next request when the one that began it is done', async t => {
    const [a, b] = await open(t, PATIENT)
    a.fresh('id').release()
    const lease = await b.acquire('id', forever())
    t.equal(lease.signal.aborted, false)
    lease.release()
  })

  t.test('a holder from whom nothing is heard is told to stop', async t => {
    const [a, b] = await open(t, { idleMs: 0 })
    const first = await a.acquire('id', forever())
    first.signal.addEventListener('abort', () => { first.release() })
    const second = await b.acquire('id', forever())
    t.equal(first.signal.aborted, true)
    second.release()
  })

  t.test('a holder is made to let go at once of a session that is cancelled', async t => {
    const [a, b] = await open(t, PATIENT)
    const first = await a.acquire('id', forever())
    first.signal.addEventListener('abort', () => { first.release() })
    const second = await b.seize('id', forever())
    t.equal(first.signal.aborted, true)
    second.release()
  })

  t.test('a caller that goes away while it waits leaves nothing behind', async t => {
    const [a, b] = await open(t, PATIENT)
    const first = await a.acquire('id', forever())
    const gone = new AbortController()
    const second = b.acquire('id', gone.signal)
    await turns()
    gone.abort(new Error('went away'))
    await t.rejects(second, { message: 'went away' })
    t.equal(getEventListeners(gone.signal, 'abort').length, 0)
    first.release()
    ;(await a.acquire('id', forever())).release()
    ;(await b.acquire('id', forever())).release()
  })

  t.test('a caller that is gone already gets nothing, and keeps nobody away', async t => {
    const [a, b] = await open(t, PATIENT)
    await t.rejects(a.acquire('id', AbortSignal.abort(new Error('went away'))), { message: 'went away' })
    ;(await b.acquire('id', forever())).release()
  })

  t.test('whether a session is at rest is known everywhere', async t => {
    const [a, b] = await open(t, { idleMs: 5 })
    t.equal(await b.settled('id', forever()), true, 'nobody has it')
    const lease = await a.acquire('id', forever())
    const touching = setInterval(() => { lease.touch() }, 1)
    t.teardown(() => { clearInterval(touching) })
    t.equal(await b.settled('id', forever()), false, 'its holder receives')
    t.equal(lease.signal.aborted, false)
    clearInterval(touching)
    lease.signal.addEventListener('abort', () => { lease.release() })
    t.equal(await b.settled('id', forever()), true, 'a silent holder was told to let go')
    t.equal(lease.signal.aborted, true)
  })

  t.test('a session is had without waiting where nobody has it', async t => {
    const [a, b] = await open(t, PATIENT)
    const lease = await a.acquire('id', forever())
    t.equal(await b.tryAcquire('id'), undefined, 'another process has it')
    t.equal(await a.tryAcquire('id'), undefined, 'another request has it')
    t.equal(lease.signal.aborted, false)
    lease.release()
    await turns()
    const free = await b.tryAcquire('id')
    t.ok(free)
    t.equal(await a.tryAcquire('id'), undefined)
    const waiting = a.acquire('id', forever())
    await turns()
    free?.release()
    ;(await waiting).release()
  })

  t.test('releasing twice does not take the session from the next holder', async t => {
    const [a, b] = await open(t, PATIENT)
    const first = await a.acquire('id', forever())
    first.release()
    first.release()
    const second = await b.acquire('id', forever())
    first.release()
    await turns()
    t.equal(await a.tryAcquire('id'), undefined)
    second.release()
  })

  t.test('of many requests one has the session at any time, and each gets its turn', async t => {
    const all = await open(t, PATIENT)
    const count = { holders: 0, most: 0, done: 0 }
    await Promise.all(Array.from({ length: 60 }, async (_, i) => {
      const lease = await (all[i % 3] as UploadLocks).acquire('id', forever())
      count.most = Math.max(count.most, ++count.holders)
      for (let turn = 0; turn < i % 4; turn++) await new Promise(resolve => { setImmediate(resolve) })
      t.equal(lease.signal.aborted, false)
      count.holders--
      count.done++
      lease.release()
    }))
    t.same(count, { holders: 0, most: 1, done: 60 })
  })
}
