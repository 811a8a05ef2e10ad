import t from 'tap'
import { silent } from '../../../services/maintenance/progress.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { blobPath, linkPath, uploadDataPath } from '../../../services/registry/layout.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { Largest } from '../../../services/stats/largest.js'
import { formatStatistics } from '../../../services/stats/report.js'
import { StorageCount } from '../../../services/stats/statistics.js'
import type { Statistics } from '../../../services/stats/statistics.js'
import { buildServer } from '../../../server.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { blob, image, pushBlob, pushManifest, sha512 } from '../../helpers/images.js'

const never = (): AbortSignal => new AbortController().signal
const sizeOf = (...contents: ReadonlyArray<{ size: number }>): number => contents.reduce((sum, { size }) => sum + size, 0)

async function count (driver: StorageDriver, { top = 10, signal = never() } = {}): Promise<Statistics> {
  return await new StorageCount({ driver, progress: silent, top, signal }).run()
}

t.test('what several repositories link to is stored once and shared; what one links to is unique', async t => {
  const driver = new MemoryDriver()
  const app = buildServer({ instances: { driver } })
  t.teardown(async () => { await app.close() })
  const common = image('common')
  const own = image('own')
  await pushManifest(t, app, 'team/app', common, 'latest')
  await pushManifest(t, app, 'team/app', common, 'stable')
  await pushManifest(t, app, 'team/app', own)
  await pushManifest(t, app, 'other', common, 'latest')
  const stray = blob('of no repository')
  await driver.write(blobPath(stray.digest), stray.bytes)
  await driver.write(uploadDataPath(parseRepositoryName('uploading'), '0190d8a0-1234-7abc-8def-0123456789ab'), Buffer.from('12345'))

  const shared = sizeOf(common, ...common.blobs)
  const unique = sizeOf(own, ...own.blobs)
  t.match(await count(driver), {
    repositories: 3,
    tags: 3,
    manifests: 3,
    linked: { count: 9, bytes: 2 * shared + unique },
    stored: { count: 7, bytes: shared + unique + stray.size },
    unique: { count: 3, bytes: unique },
    shared: { count: 3, bytes: shared },
    unlinked: { count: 1, bytes: stray.size },
    uploads: { count: 1, bytes: 5 },
    largest: [
      { name: 'team/app', tags: 2, manifests: 2, blobs: 4, bytes: shared + unique, unique },
      { name: 'other', tags: 1, manifests: 1, blobs: 2, bytes: shared, unique: 0 },
      { name: 'uploading', tags: 0, manifests: 0, blobs: 0, bytes: 0, unique: 0 }
    ]
  })
  t.same((await count(driver, { top: 1 })).largest.map(({ name }) => name), ['team/app'])
  t.same((await count(driver, { top: 0 })).largest, [])
})

t.test('content counts once in its repository: a manifest that is also a blob, and one that has two digests', async t => {
  const driver = new MemoryDriver()
  const app = buildServer({ instances: { driver } })
  t.teardown(async () => { await app.close() })
  const manifest = image()
  await pushManifest(t, app, 'app', manifest)
  await pushBlob(t, app, 'app', manifest)
  const twice = blob('two digests')
  await pushBlob(t, app, 'app', { bytes: twice.bytes, digest: sha512(twice.bytes) })
  const { linked, stored, shared, largest } = await count(driver)
  t.same(linked, { count: 4, bytes: sizeOf(manifest, ...manifest.blobs, twice) })
  t.same([stored, shared], [linked, { count: 0, bytes: 0 }])
  t.match(largest, [{ manifests: 1, blobs: 3 }])
})

t.test('what was deleted does not count, and links to content that is gone have no bytes', async t => {
  const driver = new MemoryDriver()
  const app = buildServer({ instances: { driver }, storage: { delete: { enabled: true } } })
  t.teardown(async () => { await app.close() })
  const [kept, deleted, gone] = ['kept', 'deleted', 'gone'].map(text => blob(text)) as [ReturnType<typeof blob>, ReturnType<typeof blob>, ReturnType<typeof blob>]
  for (const one of [kept, deleted, gone]) await pushBlob(t, app, 'app', one)
  t.equal((await app.inject({ method: 'DELETE', url: `/v2/app/blobs/${deleted.digest}` })).statusCode, 202)
  await driver.delete(blobPath(gone.digest))
  // As docker's registry leaves it: the directory without the link.
  const link = linkPath(parseRepositoryName('app'), '_layers', deleted.digest)
  await driver.write(`${link}-left`, Buffer.from('x'))
  const { linked, stored, unlinked } = await count(driver)
  t.same([linked, stored, unlinked], [{ count: 1, bytes: 4 }, { count: 2, bytes: 11 }, { count: 1, bytes: 7 }])
})

t.test('counting calls nothing that writes, and an empty storage has nothing', async t => {
  const memory = new MemoryDriver()
  const driver = new FaultDriver(memory)
  const app = buildServer({ instances: { driver: memory } })
  t.teardown(async () => { await app.close() })
  t.match(await count(driver), { repositories: 0, stored: { count: 0, bytes: 0 }, largest: [] })
  await pushManifest(t, app, 'app', image(), 'latest')
  t.match(await count(driver), { repositories: 1 })
  t.same([...new Set(driver.calls.map(({ operation }) => operation))].sort(), ['list', 'read', 'stat'])
})

t.test('it ends with the reason of its signal, in every part of the walk', async t => {
  const memory = new MemoryDriver()
  const app = buildServer({ instances: { driver: memory } })
  t.teardown(async () => { await app.close() })
  await pushManifest(t, app, 'app', image(), 'latest')
  const reason = new Error('enough')
  for (const path of ['/_layers/', '/blobs/sha256/', '/_manifests/tags']) {
    const controller = new AbortController()
    const driver = new FaultDriver(memory)
    driver.before = call => { if (call.path.includes(path)) controller.abort(reason) }
    await t.rejects(count(driver, { signal: controller.signal }), reason, path)
  }
})

t.test('a storage that fails is no storage that is empty', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  driver.before = () => { throw new Error('broken disk') }
  await t.rejects(count(driver), /broken disk/)
})

t.test('the largest are kept, in order, of however many', async t => {
  const largest = new Largest<number>(3, item => item)
  for (let i = 0; i < 1000; i++) largest.offer(i * 7919 % 1000)
  t.same(largest.items, [999, 998, 997])
})

t.test('the table stands in columns', async t => {
  const amount = { count: 1, bytes: 2_000_000 }
  const text = formatStatistics({
    repositories: 12,
    tags: 1,
    manifests: 1,
    linked: amount,
    stored: amount,
    unique: amount,
    shared: { count: 0, bytes: 0 },
    unlinked: { count: 0, bytes: 0 },
    uploads: { count: 0, bytes: 0 },
    seconds: 1,
    largest: [{ name: parseRepositoryName('team/application/backend'), tags: 1, manifests: 1, blobs: 2, bytes: 2_000_000, unique: 2_000_000 }]
  })
  t.equal(text, `repositories  12
tags           1
manifests      1
linked         1  2.0 MB  every repository by itself
stored         1  2.0 MB  each content once
  unique       1  2.0 MB  of one repository
  shared       0     0 B  of several repositories
  unlinked     0     0 B  of none
uploads        0     0 B  not closed

largest repositories      tags  manifests  blobs    size  unique
team/application/backend     1          1      2  2.0 MB  2.0 MB
`)
})
