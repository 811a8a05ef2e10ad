import t from 'tap'
import { parseTag } from '../../../services/reference/reference.js'
import { blobPath, linkPath, referrerLinkPath, tagCurrentPath } from '../../../services/registry/layout.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import { image, sha256, sha512 } from '../../helpers/images.js'
import { NAME, OTHER, open, push, verified } from '../../helpers/verified.js'

const good = image('good')
const referrer = image('referrer', { subject: { mediaType: good.mediaType, digest: good.digest, size: good.size } })
const bad = image('bad')
const [, badLayer] = bad.blobs
const rotten = badLayer?.digest ?? sha256('none')

/** Healthy things, and beside them one of every kind that is repaired. */
async function damaged (driver: StorageDriver): Promise<void> {
  await push(open(driver), good)
  await push(open(driver), good, sha512(good.bytes))
  await push(open(driver), referrer, referrer.digest)
  await push(open(driver, OTHER), bad)
  await driver.write(blobPath(rotten), Buffer.from('rotten'))
  await driver.write(linkPath(NAME, '_layers', sha256('gone')), Buffer.from(sha256('gone')))
  await driver.write(linkPath(NAME, '_layers', good.blobs[0]?.digest ?? rotten), Buffer.from(''))
  await driver.write(tagCurrentPath(NAME, parseTag('dangling')), Buffer.from(sha256('gone')))
  await driver.write(referrerLinkPath(NAME, good.digest, sha256('gone')), Buffer.from(sha256('gone')))
}

/** Everything that was healthy can be pulled, and what the repair writes again too, once it was repaired. */
async function isWhole (driver: StorageDriver, { repaired }: { repaired: boolean }): Promise<boolean> {
  const { manifests, blobs, referrers, tags } = open(driver)
  const { bytes } = await manifests.get({ tag: parseTag('latest') })
  const twin = await manifests.get({ digest: sha512(good.bytes) })
  const [config, layer] = good.blobs
  const hasLayer = (await blobs.stat(layer?.digest ?? rotten)).size === layer?.size
  const hasConfig = await blobs.stat(config?.digest ?? rotten).then(() => true, () => false)
  const [listed] = await referrers.list(good.digest)
  const isTidy = !(await tags.list({})).items.includes(parseTag('dangling'))
  return bytes.equals(good.bytes) && twin.bytes.equals(good.bytes) && hasLayer && listed?.digest === referrer.digest && (!repaired || (hasConfig && isTidy))
}

t.test('whichever storage call of a complete repair fails, no healthy thing is lost, and another run repairs the rest', async t => {
  let number = 0
  let failed = 0
  for (let reached = true; reached; number++) {
    const driver = new FaultDriver(new MemoryDriver())
    await damaged(driver)
    let count = 0
    driver.before = call => { if (count++ === number) throw diskFull(call) }
    const outcome = await verified(driver, { repair: true }).then(() => 'ended', (error: Error) => error.message)
    reached = count > number
    driver.before = () => {}
    if (outcome !== 'ended') {
      failed++
      t.match(outcome, /ENOSPC/)
    }
    if (!await isWhole(driver, { repaired: false })) t.fail(`something is lost after call ${number}`)
    await verified(driver, { repair: true })
    if (!await isWhole(driver, { repaired: true })) t.fail(`not repaired after call ${number}`)
    if (number % 5 > 0) continue
    const { lines } = await verified(driver)
    const unexpected = lines.filter(line => !line.startsWith(`missing: ${OTHER}@`) && !line.startsWith('orphaned: sha256:'))
    if (unexpected.length > 0) t.fail(`after call ${number}: ${unexpected.join(', ')}`)
  }
  t.ok(number > 100, `${number} calls`)
  t.ok(failed > 10, `${failed} of them ended the run`)
})

t.test('interrupted at any call, nothing healthy is lost', async t => {
  let number = 0
  for (let reached = true; reached; number++) {
    const driver = new FaultDriver(new MemoryDriver())
    await damaged(driver)
    let count = 0
    const controller = new AbortController()
    driver.before = () => { if (count++ === number) controller.abort(new Error('interrupted')) }
    const outcome = await verified(driver, { repair: true, signal: controller.signal }).then(() => 'ended', (error: Error) => error.message)
    reached = count > number
    t.equal(['ended', 'interrupted'].includes(outcome), true, outcome)
    if (!await isWhole(driver, { repaired: false })) t.fail(`something is lost after call ${number}`)
  }
  t.ok(number > 100, `${number} calls`)
})
