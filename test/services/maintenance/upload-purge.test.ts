import t from 'tap'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { uploadDataPath, uploadPath } from '../../../services/registry/layout.js'
import { UploadPurge } from '../../../services/maintenance/upload-purge.js'
import type { UploadPurgeOptions } from '../../../services/maintenance/upload-purge.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FakeClock } from '../../helpers/fake-clock.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import { recordingLog } from '../../helpers/log.js'

const NAME = parseRepositoryName('team/app')
const ID = '0190d8a0-1234-7abc-8def-0123456789ab'
const MINUTE = 60_000
const HOUR = 60 * MINUTE

function setUp (options: Partial<UploadPurgeOptions> = {}): { purge: UploadPurge, clock: FakeClock, driver: FaultDriver, lines: string[], options: UploadPurgeOptions, fill: () => Promise<void>, isLeft: () => Promise<boolean> } {
  const driver = new FaultDriver(new MemoryDriver())
  // Ahead of the files the test writes.
  const clock = new FakeClock(Date.now() + 169 * HOUR)
  const { log, lines } = recordingLog()
  const all = { driver, sessions: new UploadSessions({ driver }), ageMs: 168 * HOUR, intervalMs: 24 * HOUR, dryRun: false, log, clock, random: () => 0.5, ...options }
  const fill = async (): Promise<void> => { await driver.write(uploadDataPath(NAME, ID), Buffer.from('12345')) }
  const isLeft = async (): Promise<boolean> => await driver.stat(uploadPath(NAME, ID)).then(() => true, () => false)
  return { purge: new UploadPurge(all), clock, driver, lines, options: all, fill, isLeft }
}

for (const [random, first] of [[0, '0s'], [0.5, '30m0s'], [0.999, '59m0s']] as const) {
  t.test(`the first run comes after a whole number of minutes below 60: ${first}`, async t => {
    const { purge, clock, lines, fill, isLeft } = setUp({ random: () => random })
    await fill()
    purge.start()
    await clock.advance(0)
    t.equal(lines[0], `info: Starting upload purge in ${first}`)
    await clock.advance(Math.floor(random * 60) * MINUTE + 1000)
    t.equal(await isLeft(), false)
    t.equal(lines.at(-1), 'info: Starting upload purge in 24h0m0s', 'and then every interval')
    await fill()
    await clock.advance(24 * HOUR + 1000)
    t.equal(await isLeft(), false)
    await purge.stop()
  })
}

t.test('what was done can be looked at', async t => {
  const { purge, clock, fill } = setUp()
  t.same(purge.status, { runs: 0, failures: 0, deleted: 0, bytes: 0, last: null })
  await fill()
  const running = purge.runOnce()
  await clock.advance(1000)
  t.match(await running, { deleted: 1 })
  t.match(purge.status, { runs: 1, deleted: 1, bytes: 5, last: { deleted: 1, errors: 0, finished: /^\d{4}-\d\d-\d\dT/, ms: 0 } })
})

t.test('a dry run frees nothing', async t => {
  const { purge, clock, fill, isLeft } = setUp({ dryRun: true })
  await fill()
  const running = purge.runOnce()
  await clock.advance(1000)
  t.match(await running, { deleted: 1, dryRun: true })
  t.match(purge.status, { deleted: 0, bytes: 0, last: { deleted: 1 } })
  t.equal(await isLeft(), true)
})

t.test('of two servers on one storage one purges; the other one says so, and does when the first is gone', async t => {
  const { purge, clock, driver, options, fill, lines } = setUp()
  await fill()
  const other = new UploadPurge(options)
  const both = [purge.runOnce(), other.runOnce()]
  await clock.advance(1000)
  const results = await Promise.all(both)
  t.equal(results.filter(result => result !== undefined).length, 1)
  t.ok(lines.includes('info: upload purge: another server on this storage is at it'))
  t.equal(driver.calls.filter(({ operation, path }) => operation === 'delete' && path.endsWith(ID)).length, 1)
  await fill()
  const again = other.runOnce()
  await clock.advance(1000)
  t.match(await again, { deleted: 1 })
})

t.test('a run that fails is counted and logged, and the next one comes', async t => {
  const { purge, clock, driver, fill, isLeft, lines } = setUp()
  await fill()
  driver.before = call => { if (call.operation === 'list') throw diskFull(call) }
  purge.start()
  await clock.advance(HOUR)
  t.match(purge.status, { runs: 0, failures: 1, last: null })
  t.ok(lines.includes('error: upload purge failed'))
  driver.before = () => {}
  await clock.advance(24 * HOUR)
  t.match(purge.status, { runs: 1, failures: 1 })
  t.equal(await isLeft(), false)
  await purge.stop()
})

t.test('stopping ends a run between two sessions', async t => {
  const { purge, clock, driver, fill, isLeft, lines } = setUp()
  await fill()
  let stopping: Promise<void> | undefined
  driver.before = ({ operation, path }) => { if (operation === 'list' && path.endsWith('/repositories')) stopping ??= purge.stop() }
  purge.start()
  await clock.advance(HOUR)
  await stopping
  t.equal(await isLeft(), true)
  t.notOk(lines.includes('error: upload purge failed'))
  t.same(clock.sleeping, [])
})
