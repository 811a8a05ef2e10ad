import t from 'tap'
import { guarded } from '../../services/storage/guarded.js'
import { needsRgw, rgwDriver, startRgw } from '../helpers/ceph-rgw.js'
import { driverSuite } from '../suites/driver.js'
import { s3Completion } from '../suites/s3-completion.js'
import { s3Faults } from '../suites/s3-faults.js'
import { s3Registry } from '../suites/s3-registry.js'
import { s3Uploads } from '../suites/s3-uploads.js'

const MIB = 1024 * 1024

t.setTimeout(300_000)

// One start of Ceph for everything that is tried on it.
t.test('s3', needsRgw(), async t => {
  const rgw = await startRgw(t)
  const inParts = { chunksize: 5 * MIB, multipartcopychunksize: 5 * MIB, multipartcopythresholdsize: 0 }

  await t.test('the contract', async t => { driverSuite(t, async t => await rgwDriver(t, rgw), { flat: true }) })
  await t.test('the contract behind the guard, with everything copied in parts', async t => {
    driverSuite(t, async t => guarded(await rgwDriver(t, rgw, inParts)), { flat: true, movesOnly: true })
  })
  await t.test('uploads', async t => { s3Uploads(t, rgw) })
  await t.test('completion', async t => { s3Completion(t, rgw) })
  await t.test('a store in trouble', async t => { s3Faults(t, rgw) })
  await t.test('the registry', async t => { s3Registry(t, rgw) })
})
