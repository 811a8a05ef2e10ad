import { getEventListeners } from 'node:events'
import t from 'tap'
import { systemClock } from '../../../services/maintenance/clock.js'

t.test('a wait longer than the longest timer is made of several, none of them longer', async t => {
  const delays: number[] = []
  const real = globalThis.setTimeout
  globalThis.setTimeout = ((run: () => void, ms: number) => { delays.push(ms); return real(run, 0) }) as unknown as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = real })
  await systemClock.sleep(2 ** 32)
  t.same(delays, [2 ** 31 - 1, 2 ** 31 - 1, 2])
})

t.test('a wait ends with the signal, and leaves nothing behind', async t => {
  const controller = new AbortController()
  const sleep = systemClock.sleep(2 ** 32, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.rejects(sleep, { message: 'enough' })
  await t.rejects(systemClock.sleep(1, { signal: controller.signal }), { message: 'enough' })
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

t.test('a wait without ref does not keep the process alive', async t => {
  const unreferenced: boolean[] = []
  const real = globalThis.setTimeout
  globalThis.setTimeout = ((run: () => void, ms: number) => {
    const timer = real(run, ms)
    queueMicrotask(() => { unreferenced.push(!timer.hasRef()) })
    return timer
  }) as unknown as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = real })
  const keepAlive = real(() => {}, 10_000)
  await systemClock.sleep(1, { ref: false })
  await systemClock.sleep(1)
  clearTimeout(keepAlive)
  t.same(unreferenced, [true, false])
})

t.test('now is the time', async t => {
  t.ok(Math.abs(systemClock.now() - Date.now()) < 1000)
})
