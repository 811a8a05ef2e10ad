import t from 'tap'
import { guarded } from '../../services/storage/guarded.js'
import { fakeGcsDriver, fakeGcsOptions, fakeGcsParameters, needsFakeGcs, startFakeGcs } from '../helpers/fake-gcs.js'
import { driverSuite } from '../suites/driver.js'
import { gcsBucket } from '../suites/gcs-bucket.js'
import { pieceUploads } from '../suites/piece-uploads.js'
import { storeFaults } from '../suites/store-faults.js'
import { storeRegistry } from '../suites/store-registry.js'

const KIB = 1024
const MIB = 1024 * KIB

t.setTimeout(300_000)

// One start of the server for everything that is tried on it.
t.test('gcs', needsFakeGcs(), async t => {
  const gcs = await startFakeGcs(t)

  await t.test('the contract', async t => { driverSuite(t, async t => await fakeGcsDriver(t, fakeGcsOptions(gcs)), { flat: true, signatures: false }) })
  await t.test('the contract behind the guard, in small pieces', async t => {
    driverSuite(t, async t => guarded(await fakeGcsDriver(t, fakeGcsOptions(gcs, { chunksize: 256 * KIB }))), { flat: true, signatures: false })
  })
  await t.test('uploads', async t => {
    pieceUploads(t, () => {
      const options = fakeGcsOptions(gcs, { chunksize: 5 * MIB })
      return async t => await fakeGcsDriver(t, options)
    })
  })
  await t.test('the bucket', async t => { gcsBucket(t, gcs) })
  await t.test('a store in trouble', async t => {
    storeFaults(t, {
      url: gcs.url,
      open: async (t, url) => await fakeGcsDriver(t, fakeGcsOptions(gcs, { endpoint: url, chunksize: 5 * MIB })),
      troubles: [[503, 'backendError'], [500, 'internalError'], [429, 'rateLimitExceeded']],
      part: /uploadType=media&name=.*~/i,
      completion: /\/compose/,
      refused: 'HTTP 400'
    })
  })
  await t.test('the registry', async t => {
    storeRegistry(t, { name: 'GCS', url: gcs.url, driver: () => ({ gcs: fakeGcsParameters(gcs) }) })
  })
})
