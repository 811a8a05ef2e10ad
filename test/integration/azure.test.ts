import t from 'tap'
import { guarded } from '../../services/storage/guarded.js'
import { azuriteDriver, azuriteOptions, azuriteParameters, needsAzurite, startAzurite } from '../helpers/azurite.js'
import { azureContainer } from '../suites/azure-container.js'
import { azureIdentity } from '../suites/azure-identity.js'
import { driverSuite } from '../suites/driver.js'
import { pieceUploads } from '../suites/piece-uploads.js'
import { storeFaults } from '../suites/store-faults.js'
import { storeRegistry } from '../suites/store-registry.js'

t.setTimeout(300_000)

// One start of Azurite for everything that is tried on it.
t.test('azure', needsAzurite(), async t => {
  const azurite = await startAzurite(t)
  const { origin, pathname } = new URL(azurite.url)

  await t.test('the contract', async t => { driverSuite(t, async t => await azuriteDriver(t, azuriteOptions(azurite)), { flat: true }) })
  await t.test('the contract behind the guard, with the slash of registry 2', async t => {
    driverSuite(t, async t => guarded(await azuriteDriver(t, azuriteOptions(azurite, { trimlegacyrootprefix: false }))), { flat: true })
  })
  await t.test('uploads', async t => {
    pieceUploads(t, () => {
      const options = azuriteOptions(azurite)
      return async t => await azuriteDriver(t, options)
    })
  })
  await t.test('the container', async t => { azureContainer(t, azurite) })
  await t.test('identities', async t => { azureIdentity(t) })
  await t.test('a store in trouble', async t => {
    storeFaults(t, {
      url: origin,
      open: async (t, url) => await azuriteDriver(t, azuriteOptions(azurite, { serviceurl: `${url}${pathname}` })),
      troubles: [[503, 'ServerBusy'], [500, 'InternalError'], [429, 'TooManyRequests']],
      part: /comp=block&/,
      completion: /comp=blocklist/,
      refused: 'EntityTooLarge'
    })
  })
  await t.test('the registry', async t => {
    storeRegistry(t, { name: 'Azure', url: azurite.url, driver: () => ({ azure: azuriteParameters(azurite) }) })
  })
})
