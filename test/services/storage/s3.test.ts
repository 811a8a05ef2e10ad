import t from 'tap'
import { guarded } from '../../../services/storage/guarded.js'
import { needsRgw, rgwDriver, startRgw } from '../../helpers/ceph-rgw.js'
import { driverSuite } from '../../suites/driver.js'

const MIB = 1024 * 1024

t.test('s3', needsRgw(), async t => {
  const rgw = await startRgw(t)

  await t.test('the contract', async t => {
    driverSuite(t, async t => await rgwDriver(t, rgw), { flat: true })
  })

  await t.test('the contract behind the guard, with everything copied in parts', async t => {
    driverSuite(t, async t => guarded(await rgwDriver(t, rgw, { chunksize: 5 * MIB, multipartcopychunksize: 5 * MIB, multipartcopythresholdsize: 0 })), { flat: true })
  })
})
