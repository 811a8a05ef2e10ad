import t from 'tap'
import type { Test } from 'tap'
import { acquireLease } from '../../../services/maintenance/lease.js'
import type { Lease } from '../../../services/maintenance/lease.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FakeClock, settled } from '../../helpers/fake-clock.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'

const PATH = '/oci-registry/leases/work'
const MINUTE = 60_000

function setUp (): { clock: FakeClock, driver: FaultDriver, take: () => Promise<Lease | undefined> } {
  const clock = new FakeClock()
  const driver = new FaultDriver(new MemoryDriver())
  const take = async (): Promise<Lease | undefined> => {
    const taking = acquireLease(driver, 'work', { clock })
    taking.catch(() => {})
    await clock.advance(1000)
    return await taking
  }
  return { clock, driver, take }
}

async function held (t: Test, taking: Promise<Lease | undefined>): Promise<Lease> {
  const lease = await taking
  if (lease === undefined) throw new Error('not granted')
  t.equal(lease.signal.aborted, false)
  return lease
}

t.test('one holds it; when that one lets go another one may have it', async t => {
  const { take, driver } = setUp()
  const first = await held(t, take())
  t.equal(await take(), undefined)
  await first[Symbol.asyncDispose]()
  await t.rejects(driver.stat(PATH), 'no entry remains')
  const second = await held(t, take())
  await second[Symbol.asyncDispose]()
})

t.test('it is renewed as long as it is held, without keeping the process alive', async t => {
  const { take, clock } = setUp()
  const lease = await held(t, take())
  await clock.advance(100 * MINUTE)
  t.equal(lease.signal.aborted, false)
  t.same(clock.sleeping, [{ ms: 20_000, ref: false }])
  t.equal(await take(), undefined)
  await lease[Symbol.asyncDispose]()
  t.same(clock.sleeping, [])
})

t.test('what a dead process held can be had when it has expired', async t => {
  const { take, clock, driver } = setUp()
  await driver.write(PATH, Buffer.from(`dead\n${clock.now() + MINUTE}`))
  t.equal(await take(), undefined)
  await clock.advance(MINUTE)
  const lease = await held(t, take())
  await lease[Symbol.asyncDispose]()
})

for (const [what, content] of [['is broken', 'nonsense'], ['is empty', ''], ['was written by a clock that is years ahead', 'x\n99999999999999']] as const) {
  t.test(`an entry that ${what} is nobody's`, async t => {
    const { take, driver } = setUp()
    await driver.write(PATH, Buffer.from(content))
    const lease = await held(t, take())
    await lease[Symbol.asyncDispose]()
  })
}

t.test('of many that find it free at the same moment one gets it: who wrote last', async t => {
  const { clock, driver } = setUp()
  const takers = Array.from({ length: 10 }, async () => await acquireLease(driver, 'work', { clock }))
  await clock.advance(1000)
  const leases = (await Promise.all(takers)).filter(lease => lease !== undefined)
  t.equal(leases.length, 1)
  await clock.advance(10 * MINUTE)
  t.equal(leases[0]?.signal.aborted, false)
  await leases[0]?.[Symbol.asyncDispose]()
})

t.test('a taker that is stopped between looking and writing gives up, and the holder notices', async t => {
  const { clock, driver, take } = setUp()
  let go!: () => void
  let isFirst = true
  driver.before = async ({ operation }) => {
    if (operation !== 'write' || !isFirst) return
    isFirst = false
    await new Promise<void>(resolve => { go = resolve })
  }
  const slow = acquireLease(driver, 'work', { clock })
  await settled()
  const quick = await held(t, take())
  await clock.advance(5000)
  go()
  t.equal(await slow, undefined)
  await clock.advance(20_000)
  t.equal(quick.signal.aborted, true, 'its entry was overwritten, so it cannot be sure any more')
  await quick[Symbol.asyncDispose]()
  const next = await held(t, take())
  await next[Symbol.asyncDispose]()
})

t.test('a holder that was stopped for longer than its lease does not take it back', async t => {
  const { clock, driver, take } = setUp()
  const first = await held(t, take())
  await driver.write(PATH, Buffer.from(`another\n${clock.now() + MINUTE}`))
  await clock.advance(20_000)
  t.equal(first.signal.aborted, true)
  t.match(first.signal.reason, { message: /lost the lease/ })
  await first[Symbol.asyncDispose]()
  t.match((await driver.read(PATH)).toString(), /^another/, 'what another one holds is not removed')
})

t.test('storage that fails for less than a lease does not end it, longer does', async t => {
  const { clock, driver, take } = setUp()
  const lease = await held(t, take())
  driver.before = call => { throw diskFull(call) }
  await clock.advance(30_000)
  t.equal(lease.signal.aborted, false)
  driver.before = () => {}
  await clock.advance(5 * MINUTE)
  t.equal(lease.signal.aborted, false)
  driver.before = call => { throw diskFull(call) }
  await clock.advance(81_000)
  t.equal(lease.signal.aborted, true)
  await lease[Symbol.asyncDispose]()
})

t.test('storage that fails while the lease is taken is an error', async t => {
  const { driver, take } = setUp()
  driver.before = call => { if (call.operation === 'write') throw diskFull(call) }
  await t.rejects(take(), /ENOSPC/)
})
