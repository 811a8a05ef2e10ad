import { getEventListeners } from 'node:events'
import { setImmediate as macrotask } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { LocalUploadLocks } from '../../../services/uploads/locks.js'
import type { UploadLease } from '../../../services/uploads/locks.js'
import { uploadLocksSuite } from '../../suites/upload-locks.js'

const IDLE = 2000
const never = (): AbortSignal => new AbortController().signal

/** Date.now and setTimeout under the test's control; knows which timers are pending. */
class FakeClock {
  now = 1_000_000
  readonly pending = new Map<object, { readonly at: number, readonly run: () => void }>()

  constructor (t: Test) {
    const { setTimeout: realSet, clearTimeout: realClear } = globalThis
    const realNow = Date.now
    Date.now = () => this.now
    globalThis.setTimeout = ((run: () => void, ms: number) => {
      const timer = {}
      this.pending.set(timer, { at: this.now + ms, run })
      return timer
    }) as unknown as typeof setTimeout
    globalThis.clearTimeout = (timer => {
      if (!this.pending.delete(timer as object)) realClear(timer)
    }) as typeof clearTimeout
    t.teardown(() => {
      Date.now = realNow
      globalThis.setTimeout = realSet
      globalThis.clearTimeout = realClear
    })
  }

  async advance (ms: number): Promise<void> {
    const end = this.now + ms
    await macrotask()
    for (;;) {
      const due = [...this.pending].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0]
      if (due === undefined) break
      const [timer, { at, run }] = due
      this.pending.delete(timer)
      this.now = Math.max(this.now, at)
      run()
      await macrotask()
    }
    this.now = end
  }
}

/** A promise whose state can be asked. */
function watched<T> (promise: Promise<T>): { readonly promise: Promise<T>, done: boolean } {
  const watch = { promise, done: false }
  const settle = (): void => { watch.done = true }
  promise.then(settle, settle)
  return watch
}

t.test('a free session is granted at once, without a timer', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const lease = await locks.acquire('a', never())
  t.equal(lease.signal.aborted, false)
  t.equal(clock.pending.size, 0)
})

t.test('a session has one holder at a time, and a waiting request gets it on release', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const second = watched(locks.acquire('a', never()))
  await clock.advance(IDLE - 1)
  t.equal(second.done, false)
  t.equal(first.signal.aborted, false, 'within its idle time the holder is left alone')
  first.release()
  const lease = await second.promise
  t.equal(lease.signal.aborted, false)
  t.equal(clock.pending.size, 0)
})

t.test('sessions do not wait for each other', async t => {
  const locks = new LocalUploadLocks()
  await locks.acquire('a', never())
  const other = await locks.acquire('b', never())
  t.equal(other.signal.aborted, false)
})

t.test('a holder nobody waits for may be silent for as long as it likes', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const lease = await locks.acquire('a', never())
  await clock.advance(100 * IDLE)
  t.equal(lease.signal.aborted, false)
})

t.test('a holder silent for two seconds is aborted when somebody waits, who gets the session once it lets go', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const second = watched(locks.acquire('a', never()))
  await clock.advance(IDLE - 1)
  t.equal(first.signal.aborted, false)
  await clock.advance(1)
  t.equal(first.signal.aborted, true)
  t.equal(second.done, false, 'aborting is not releasing: the holder may still be writing')
  await clock.advance(100)
  t.equal(second.done, false)
  first.release()
  t.equal((await second.promise).signal.aborted, false)
})

t.test('a holder that was silent before anybody came is aborted at once', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  await clock.advance(IDLE)
  const second = locks.acquire('a', never())
  t.equal(first.signal.aborted, true)
  first.release()
  await second
})

t.test('a holder that keeps receiving is not aborted, until it stops (R-102)', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const second = watched(locks.acquire('a', never()))
  for (let i = 0; i < 10; i++) {
    await clock.advance(IDLE - 1)
    first.touch()
  }
  t.equal(first.signal.aborted, false)
  t.equal(second.done, false)
  await clock.advance(IDLE)
  t.equal(first.signal.aborted, true)
  first.release()
  await second.promise
})

t.test('the idle time can be set', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks({ idleMs: 50 })
  const first = await locks.acquire('a', never())
  const second = watched(locks.acquire('a', never()))
  await clock.advance(49)
  t.equal(first.signal.aborted, false)
  await clock.advance(1)
  t.equal(first.signal.aborted, true)
  first.release()
  await second.promise
})

t.test('seize tells a live holder to stop at once, and waits until it did', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const seized = watched(locks.seize('a', never()))
  t.equal(first.signal.aborted, true)
  await clock.advance(100)
  t.equal(seized.done, false)
  first.release()
  t.equal((await seized.promise).signal.aborted, false)
  t.equal(clock.pending.size, 0)
})

t.test('seize takes a free session', async t => {
  const lease = await new LocalUploadLocks().seize('a', never())
  t.equal(lease.signal.aborted, false)
})

t.test('seize does not wait for a live request that was queued before it', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const queued = locks.acquire('a', never()).then(lease => {
    lease.signal.addEventListener('abort', () => { lease.release() })
    if (lease.signal.aborted) lease.release()
    const chatter = (): void => { lease.touch(); setTimeout(chatter, 100) }
    chatter()
  })
  const seized = watched(locks.seize('a', never()))
  first.release()
  await clock.advance(10 * IDLE)
  t.equal(seized.done, true)
  if (seized.done) (await seized.promise).release()
  await queued
})

t.test('settled says true at once when nobody writes', async t => {
  const clock = new FakeClock(t)
  t.equal(await new LocalUploadLocks().settled('a', never()), true)
  t.equal(clock.pending.size, 0)
})

t.test('settled says true as soon as the holder lets go', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const lease = await locks.acquire('a', never())
  const settled = watched(locks.settled('a', never()))
  await clock.advance(10)
  t.equal(settled.done, false)
  lease.release()
  t.equal(await settled.promise, true)
  t.equal(clock.pending.size, 0)
})

t.test('settled says false when the holder is alive', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const lease = await locks.acquire('a', never())
  const settled = watched(locks.settled('a', never()))
  await clock.advance(1000)
  lease.touch()
  await clock.advance(1000)
  t.equal(settled.done, true)
  t.equal(await settled.promise, false)
  t.equal(lease.signal.aborted, false)
  t.equal(clock.pending.size, 0)
})

t.test('settled stops a silent holder and says true when it let go', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const lease = await locks.acquire('a', never())
  lease.signal.addEventListener('abort', () => { lease.release() })
  const settled = watched(locks.settled('a', never()))
  await clock.advance(IDLE)
  t.equal(lease.signal.aborted, true)
  t.equal(settled.done, true)
  t.equal(await settled.promise, true)
})

t.test('settled says false when a silent holder does not let go', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const lease = await locks.acquire('a', never())
  const settled = watched(locks.settled('a', never()))
  await clock.advance(2 * IDLE - 1)
  t.equal(lease.signal.aborted, true)
  t.equal(settled.done, false)
  await clock.advance(1)
  t.equal(settled.done, true)
  t.equal(await settled.promise, false)
  t.equal(clock.pending.size, 0)
})

t.test('settled gives up with its caller', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  await locks.acquire('a', never())
  const controller = new AbortController()
  const settled = locks.settled('a', controller.signal)
  controller.abort(new Error('caller left'))
  await t.rejects(settled, { message: 'caller left' })
  t.equal(clock.pending.size, 0)
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

t.test('a waiting request that goes away rejects with its reason and leaves no timer and no listener', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const controller = new AbortController()
  const waiting = locks.acquire('a', controller.signal)
  t.equal(clock.pending.size, 1)
  t.equal(getEventListeners(controller.signal, 'abort').length, 1)
  controller.abort(new Error('caller left'))
  await t.rejects(waiting, { message: 'caller left' })
  t.equal(clock.pending.size, 0)
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
  await clock.advance(10 * IDLE)
  t.equal(first.signal.aborted, false, 'nobody waits any more')
  first.release()
  await locks.acquire('a', never())
})

t.test('a granted request leaves no listener on its signal', async t => {
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const controller = new AbortController()
  const waiting = locks.acquire('a', controller.signal)
  first.release()
  await waiting
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

t.test('a request that is gone already is not granted a free session', async t => {
  const locks = new LocalUploadLocks()
  await t.rejects(locks.acquire('a', AbortSignal.abort(new Error('caller left'))), { message: 'caller left' })
  t.equal(await locks.settled('a', never()), true)
})

t.test('releasing twice does not take the session from the next holder', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  first.release()
  first.release()
  const second = await locks.acquire('a', never())
  first.release()
  const third = watched(locks.acquire('a', never()))
  await clock.advance(10)
  t.equal(third.done, false)
  second.release()
  await third.promise
})

t.test('a released holder is not aborted by those that come later', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  first.release()
  await locks.acquire('a', never())
  const third = locks.acquire('a', never())
  third.catch(() => {})
  await clock.advance(IDLE)
  t.equal(first.signal.aborted, false)
})

t.test('fifty waiting requests each get their turn, one at a time, in the order they came', async t => {
  const clock = new FakeClock(t)
  const locks = new LocalUploadLocks()
  const first = await locks.acquire('a', never())
  const turns: number[] = []
  let holders = 1
  const all = Array.from({ length: 50 }, async (_, i) => {
    const lease: UploadLease = await locks.acquire('a', never())
    t.equal(++holders, 1)
    turns.push(i)
    await macrotask()
    holders--
    lease.release()
  })
  holders--
  first.release()
  await Promise.all(all)
  t.same(turns, Array.from({ length: 50 }, (_, i) => i))
  t.equal(clock.pending.size, 0)
})

t.test('the contract, in one process', async t => {
  uploadLocksSuite(t, {
    async open (_t, options) {
      const locks = new LocalUploadLocks(options)
      return [locks, locks, locks]
    },
    turns: macrotask
  })
})
