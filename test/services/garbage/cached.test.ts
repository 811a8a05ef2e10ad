import t from 'tap'
import { Descriptors } from '../../../services/cache/descriptors.js'
import { MemoryCache } from '../../../services/cache/memory.js'
import { parseReference, parseRepositoryName } from '../../../services/reference/reference.js'
import { StorageNamespace } from '../../../services/registry/namespace.js'
import type { Repository } from '../../../services/registry/types.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { LATER, blobsIn, collect, missingOf, pushBlob, pushImage, pushManifest } from '../../helpers/garbage-world.js'
import { blob, image } from '../../helpers/images.js'
import { TestWorkers } from '../../helpers/workers.js'

const HOUR = 3_600_000
const NAME = parseRepositoryName('team/app')

/** Two processes on one storage, each with a cache of its own, and a collection in the first one. */
async function twoProcesses (): Promise<{ driver: MemoryDriver, namespaces: [StorageNamespace, StorageNamespace], repositories: [Repository, Repository] }> {
  const driver = new MemoryDriver()
  const all = new TestWorkers()
  const open = async (): Promise<StorageNamespace> => {
    const descriptors = new Descriptors({ cache: new MemoryCache(1000), workers: await all.join() })
    return new StorageNamespace({ driver, uploads: new UploadSessions({ driver }), descriptors })
  }
  const namespaces: [StorageNamespace, StorageNamespace] = [await open(), await open()]
  return { driver, namespaces, repositories: [namespaces[0].repository(NAME), namespaces[1].repository(NAME)] }
}

t.test('a blob that a collection put aside is remembered by no process: whoever asks for it puts it back', async t => {
  const { driver, namespaces: [namespace], repositories: [mine, other] } = await twoProcesses()
  const orphan = blob('nobody refers to it')
  await pushBlob(mine.blobs, orphan)
  for (const { blobs } of [mine, other]) t.equal((await blobs.stat(orphan.digest)).size, orphan.size)
  const forget = namespace.forget.bind(namespace)
  t.match(await collect(driver, { graceMs: HOUR, forget }), { blobs: { quarantined: 1 } })
  t.same(await blobsIn(driver), [], 'it is aside')
  t.equal((await other.blobs.stat(orphan.digest)).size, orphan.size)
  t.same(await blobsIn(driver), [orphan.digest], 'it is back')
  t.match(await collect(driver, { graceMs: HOUR, forget, clock: { now: () => LATER + 2 * HOUR } }), { blobs: { quarantined: 1 } })
  t.match(await collect(driver, { graceMs: HOUR, forget, clock: { now: () => LATER + 4 * HOUR } }), { blobs: { deleted: 1 } })
  for (const { blobs } of [mine, other]) await t.rejects(async () => await blobs.stat(orphan.digest), { code: 'BLOB_UNKNOWN' })
})

t.test('a manifest that is pushed by what a process remembers has everything, or is refused', async t => {
  const { driver, namespaces: [namespace], repositories: [mine, other] } = await twoProcesses()
  const pushed = image('cached')
  for (const part of pushed.blobs) await pushBlob(mine.blobs, part)
  for (const part of pushed.blobs) t.equal((await other.blobs.stat(part.digest)).size, part.size)
  const forget = namespace.forget.bind(namespace)
  await collect(driver, { graceMs: HOUR, forget })
  await pushManifest(other, pushed, 'latest')
  t.equal(await missingOf(mine, pushed, 'latest'), undefined)
  for (let run = 1; run < 4; run++) await collect(driver, { graceMs: HOUR, forget, clock: { now: () => LATER + run * 2 * HOUR } })
  t.equal(await missingOf(other, pushed, 'latest'), undefined)

  const late = image('too late')
  for (const part of late.blobs) await pushBlob(mine.blobs, part)
  for (const part of late.blobs) t.equal((await other.blobs.stat(part.digest)).size, part.size)
  // Caches that did not hear of it, as one that was out of reach.
  await collect(driver)
  await t.rejects(pushManifest(other, late, 'late'), { code: 'MANIFEST_BLOB_UNKNOWN' })
})

t.test('an untagged manifest that was collected is gone in every process', async t => {
  const { driver, namespaces: [namespace], repositories: [mine, other] } = await twoProcesses()
  const untagged = image('untagged')
  await pushImage(mine, image('tagged'), 'latest')
  await pushImage(mine, untagged)
  for (const repository of [mine, other]) t.equal(await missingOf(repository, untagged), undefined)
  await collect(driver, { deleteUntagged: true, forget: namespace.forget.bind(namespace) })
  for (const { manifests } of [mine, other]) await t.rejects(manifests.get(parseReference(untagged.digest)), { code: 'MANIFEST_UNKNOWN' })
})
