import t from 'tap'
import { blobPath } from '../../../services/registry/layout.js'
import { STRICT } from '../../../services/registry/reference-check.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { Scrub } from '../../../services/verify/scrub.js'
import { FakeClock } from '../../helpers/fake-clock.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { image, sha256 } from '../../helpers/images.js'
import { recordingLog } from '../../helpers/log.js'
import { open, push, short } from '../../helpers/verified.js'

const HOUR = 3_600_000
const FINISHED = '/oci-registry/verify/finished'
const REACHED = '/oci-registry/verify/reached'
const first = image('first')
const LAYER = first.blobs[1]?.digest ?? sha256('none')

interface SetUp { readonly driver: FaultDriver, readonly clock: FakeClock, readonly lines: string[], readonly make: () => Scrub }

async function setUp ({ repair = false } = {}): Promise<SetUp> {
  const driver = new FaultDriver(new MemoryDriver())
  await push(open(driver), first)
  const clock = new FakeClock(Date.now() + HOUR)
  const { log, lines } = recordingLog()
  const make = (): Scrub => new Scrub({ driver, intervalMs: 720 * HOUR, rate: 1e9, repair, validation: STRICT, log, clock, random: () => 0.5 })
  return { driver, clock, lines, make }
}

t.test('the first run comes within an hour; the next one when the interval is over, also after a restart', async t => {
  const { clock, driver, make } = await setUp()
  const scrub = make()
  scrub.start()
  await clock.advance(HOUR)
  t.match(scrub.status, { runs: 1, failures: 0, last: { blobs: 3, corrupt: 0, ms: Number } })
  await scrub.stop()
  t.match((await driver.read(FINISHED)).toString(), /^\d{4}-\d\d-\d\dT/)
  await t.rejects(driver.stat(REACHED))

  const again = make()
  again.start()
  await clock.advance(700 * HOUR)
  t.equal(again.status.runs, 0, 'not due')
  await clock.advance(21 * HOUR)
  t.equal(again.status.runs, 1)
  await again.stop()
})

t.test('a run that is asked for does not wait until one is due', async t => {
  const { clock, make } = await setUp()
  const scrub = make()
  for (let run = 1; run <= 2; run++) {
    const running = scrub.runOnce()
    await clock.advance(5000)
    t.match(await running, { blobs: 3 })
    t.equal(scrub.status.runs, run)
  }
  await scrub.stop()
})

t.test('a run that is interrupted goes on from where it was', async t => {
  const { clock, driver, make } = await setUp()
  const digests = [first.digest, ...first.blobs.map(({ digest }) => digest)].sort()
  const scrub = make()
  let stopping: Promise<void> | undefined
  driver.before = ({ operation, path }) => { if (operation === 'createReadStream' && path === blobPath(digests[1] ?? LAYER)) stopping = scrub.stop() }
  scrub.start()
  await clock.advance(HOUR)
  await stopping
  t.equal(scrub.status.runs, 0)
  t.equal((await driver.read(REACHED)).toString(), `sha256/${digests[0]?.slice(7, 9) ?? ''}`)
  driver.before = () => {}

  const next = make()
  next.start()
  await clock.advance(HOUR)
  t.match(next.status, { runs: 1, last: { blobs: 2 } }, 'the first part is not read again')
  await next.stop()
})

t.test('what is found is logged: damage as errors, leftovers not', async t => {
  const { clock, driver, lines, make } = await setUp({ repair: true })
  await driver.write(blobPath(LAYER), Buffer.from('rotten'))
  await driver.write(blobPath(sha256('orphan')), Buffer.from('orphan'))
  const scrub = make()
  const running = scrub.runOnce()
  await clock.advance(10_000)
  await running
  t.same(lines.map(short).filter(line => !line.includes('starting') && !line.includes('finished')), [
    `error: verify: corrupt: ${LAYER}: its 6 bytes are those of ${sha256('rotten')} (set aside)`,
    `error: verify: missing: team/app@${first.digest}: content that the manifest refers to is not there: ${LAYER}`,
    `info: verify: orphaned: ${sha256('orphan')}: 6 B that no repository links to`
  ].map(short))
  t.match(scrub.status.last, { corrupt: 1, missing: 1, orphaned: 1, repaired: 1 })
  await scrub.stop()
})
