import t from 'tap'
import { guarded } from '../../services/storage/guarded.js'
import { azuriteDriver, azuriteOptions, needsAzurite, startAzurite } from '../helpers/azurite.js'
import { driverSuite } from '../suites/driver.js'

t.setTimeout(300_000)

// One start of Azurite for everything that is tried on it.
t.test('azure', needsAzurite(), async t => {
  const azurite = await startAzurite(t)

  await t.test('the contract', async t => { driverSuite(t, async t => await azuriteDriver(t, azuriteOptions(azurite)), { flat: true }) })
  await t.test('the contract behind the guard, with the slash of registry 2', async t => {
    driverSuite(t, async t => guarded(await azuriteDriver(t, azuriteOptions(azurite, { trimlegacyrootprefix: false }))), { flat: true })
  })
})
