import t from 'tap'
import { guarded } from '../../services/storage/guarded.js'
import { fakeGcsDriver, fakeGcsOptions, needsFakeGcs, startFakeGcs } from '../helpers/fake-gcs.js'
import { driverSuite } from '../suites/driver.js'

const KIB = 1024

t.setTimeout(300_000)

// One start of the server for everything that is tried on it.
t.test('gcs', needsFakeGcs(), async t => {
  const gcs = await startFakeGcs(t)

  await t.test('the contract', async t => { driverSuite(t, async t => await fakeGcsDriver(t, fakeGcsOptions(gcs)), { flat: true, signatures: false }) })
  await t.test('the contract behind the guard, in small pieces', async t => {
    driverSuite(t, async t => guarded(await fakeGcsDriver(t, fakeGcsOptions(gcs, { chunksize: 256 * KIB }))), { flat: true, signatures: false })
  })
})
