import t from 'tap'
import { Logins } from '../../../services/auth/logins.js'
import { alone } from '../../../services/workers/workers.js'
import type { Workers } from '../../../services/workers/workers.js'
import { TestWorkers } from '../../helpers/workers.js'

const ANN = { user: 'ann', address: '192.0.2.1' }
const wrong = async (): Promise<undefined> => undefined

/** Attempts whose waiting is written down and over at once. */
function counting (workers: Workers = alone()): { logins: Logins, slept: number[] } {
  const slept: number[] = []
  let now = 0
  const logins = new Logins({ workers, free: 2, delay: 1000, maxDelay: 30_000, now: () => now, sleep: async ms => { slept.push(ms); now += ms } })
  return { logins, slept }
}

t.test('an attempt runs when its turn has come, and is refused with a Retry-After when that is too far', async t => {
  const { logins, slept } = counting()
  for (let i = 0; i < 5; i++) t.equal(await logins.attempt(ANN, wrong), undefined)
  t.same(slept, [1000, 2000, 4000])
  let ran = false
  await t.rejects(logins.attempt(ANN, async () => { ran = true; return 'in' }), { code: 'TOOMANYREQUESTS', status: 429, headers: { 'retry-after': '8' } })
  t.notOk(ran, 'a password that comes too early is not looked at')
  t.match(logins.numbers, { refused: 1, waiting: 0 })
})

t.test('what an attempt finds is what it returns; what it throws is thrown and does not count', async t => {
  const { logins, slept } = counting()
  for (let i = 0; i < 5; i++) await t.rejects(logins.attempt(ANN, async () => { throw new Error('no threads') }), { message: 'no threads' })
  t.equal(await logins.attempt(ANN, async () => 'identity'), 'identity')
  t.same(slept, [])
})

t.test('what one process counts, all count', async t => {
  const workers = new TestWorkers()
  const slept: number[] = []
  const all = [await workers.join(3), await workers.join(3), await workers.join(3)]
    .map(one => new Logins({ workers: one, free: 2, delay: 1000, maxDelay: 30_000, now: () => 0, sleep: async ms => { slept.push(ms) } }))
  for (let i = 0; i < 4; i++) await all[i % 3]?.attempt(ANN, wrong)
  t.same(slept, [1000, 3000])
  for (const logins of all) await t.rejects(logins.attempt(ANN, wrong), { code: 'TOOMANYREQUESTS' })
})

t.test('when the process that counts dies, the next one counts anew', async t => {
  const workers = new TestWorkers()
  const [first, second, third] = [await workers.join(3), await workers.join(3), await workers.join(3)]
  const [, logins, other] = [counting(first), counting(second), counting(third)] as const
  for (let i = 0; i < 3; i++) await other.logins.attempt(ANN, wrong)
  t.same(other.slept, [1000])
  workers.kill(first.id)
  for (let i = 0; i < 2; i++) await other.logins.attempt(ANN, wrong)
  t.same(other.slept, [1000])
  await logins.logins.attempt(ANN, wrong)
  t.same(logins.slept, [1000])
})

t.test('without anybody who counts, a process counts for itself', async t => {
  const { logins, slept } = counting({ ...alone(), ask: async () => { throw new Error('nobody leads') } })
  for (let i = 0; i < 3; i++) await logins.attempt(ANN, wrong)
  t.same(slept, [1000])
})

t.test('closing sends those away who wait', async t => {
  const logins = new Logins({ workers: alone(), free: 1, delay: 4000, maxDelay: 30_000 })
  await logins.attempt(ANN, wrong)
  const waiting = logins.attempt(ANN, wrong)
  t.match(await Promise.race([waiting.catch((error: unknown) => error), turns().then(() => logins.numbers)]), { waiting: 1 })
  logins.close()
  await t.rejects(waiting, { code: 'UNAVAILABLE' })
})

t.test('so many may wait, and no more', async t => {
  const logins = new Logins({ workers: alone(), free: 1, delay: 1000, maxDelay: 1000, sleep: untilAborted })
  const addresses = Array.from({ length: 1001 }, (_, i) => `192.0.${i >> 8}.${i & 255}`)
  await Promise.all(addresses.map(async address => await logins.attempt({ user: 'ann', address }, async () => 'in')))
  await Promise.all(addresses.map(async address => await logins.attempt({ user: 'ann', address }, wrong)))
  const waiting = addresses.map(async address => await logins.attempt({ user: 'ann', address }, wrong).then(() => 'looked at', (error: { code: string }) => error.code))
  await turns()
  t.match(logins.numbers, { waiting: 1000 })
  logins.close()
  const outcomes = await Promise.all(waiting)
  t.equal(outcomes.filter(outcome => outcome === 'TOOMANYREQUESTS').length, 1)
  t.equal(outcomes.filter(outcome => outcome === 'UNAVAILABLE').length, 1000)
})

async function turns (): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise(resolve => { setImmediate(resolve) })
}

async function untilAborted (_ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }) })
  signal.throwIfAborted()
}
