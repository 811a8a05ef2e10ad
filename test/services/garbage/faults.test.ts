import t from 'tap'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import { blobsIn, collect, isAside, missingOf, openRepository, pushBlob, pushImage } from '../../helpers/garbage-world.js'
import { blob, image, index } from '../../helpers/images.js'

const KEPT = image('kept')
const DEAD = image('dead')
const PUSHED = image('pushed')
const SIGNED = image('signature', { subject: { mediaType: KEPT.mediaType, digest: KEPT.digest, size: KEPT.size } })
const INDEX = index([PUSHED])
const ORPHAN = blob('nobody refers to it')

/** What is needed, what is not, and what a push left behind that will be made again. */
async function fill (driver: StorageDriver): Promise<void> {
  const repository = openRepository(driver)
  await pushImage(repository, KEPT, 'kept')
  await pushImage(repository, SIGNED)
  await pushImage(repository, DEAD)
  await pushBlob(repository.blobs, ORPHAN)
  for (const part of PUSHED.blobs) await pushBlob(repository.blobs, part)
}

/** Fails one storage call, counted from 0. Tells whether there was one. */
function failAt (driver: FaultDriver, number: number): () => boolean {
  let count = 0
  driver.before = call => { if (count++ === number) throw diskFull(call) }
  return () => {
    driver.before = () => {}
    return count > number
  }
}

for (const deleteUntagged of [false, true]) {
  t.test(`a collection${deleteUntagged ? ' of untagged manifests too' : ''} that fails at any storage call loses nothing, and the next one succeeds`, async t => {
    let number = 0
    for (let reached = true; reached; number++) {
      const storage = new MemoryDriver()
      await fill(storage)
      const driver = new FaultDriver(storage)
      const stop = failAt(driver, number)
      const failed = await collect(driver, { deleteUntagged }).then(() => false, () => true)
      reached = stop()
      const repository = openRepository(storage)
      for (const [manifest, reference] of [[KEPT, 'kept'], [SIGNED, SIGNED.digest]] as const) t.equal(await missingOf(repository, manifest, reference), undefined, `call ${number}`)
      if (failed) t.ok(reached)
      // An interrupted run is closed by the next one, and what it put aside deleted by the one after that.
      for (let run = 0; run < 2; run++) await collect(storage, { deleteUntagged })
      const needed = [KEPT, ...KEPT.blobs, SIGNED, ...SIGNED.blobs, ...deleteUntagged ? [] : [DEAD, ...DEAD.blobs]]
      t.same(await blobsIn(storage), [...new Set(needed.map(({ digest }) => digest))].sort(), `call ${number}`)
      t.notOk(await isAside(storage), `call ${number}`)
      t.equal(await missingOf(openRepository(storage), KEPT, 'kept'), undefined)
    }
    t.ok(number > 30, `${number} calls`)
  })

  t.test(`a push of what is${deleteUntagged ? ' to be withdrawn or' : ''} aside that fails at any storage call loses nothing, and can be repeated`, async t => {
    let number = 0
    for (let reached = true; reached; number++) {
      const storage = new MemoryDriver()
      await fill(storage)
      if (deleteUntagged) await pushImage(openRepository(storage), PUSHED)
      // Everything aside, nothing deleted yet.
      await collect(storage, { deleteUntagged, graceMs: 60_000 })
      t.ok(await isAside(storage))
      const driver = new FaultDriver(storage)
      const push = async (): Promise<void> => {
        await pushImage(openRepository(driver), PUSHED)
        await pushImage(openRepository(driver), INDEX, 'pushed')
      }
      const stop = failAt(driver, number)
      const outcome = await push().then(() => 'acknowledged', () => 'failed')
      reached = stop()
      if (outcome === 'acknowledged') await complete(t, storage, deleteUntagged, `call ${number}`)
      await push()
      await complete(t, storage, deleteUntagged, `call ${number}, repeated`)
    }
    t.ok(number > 30, `${number} calls`)
  })
}

async function complete (t: Tap, storage: StorageDriver, deleteUntagged: boolean, message: string): Promise<void> {
  for (let run = 0; run < 2; run++) {
    const repository = openRepository(storage)
    t.equal(await missingOf(repository, KEPT, 'kept'), undefined, message)
    t.equal(await missingOf(repository, INDEX, 'pushed'), undefined, message)
    t.equal(await missingOf(repository, PUSHED), undefined, message)
    await collect(storage, { deleteUntagged })
  }
}

type Tap = Pick<typeof t, 'equal'>
