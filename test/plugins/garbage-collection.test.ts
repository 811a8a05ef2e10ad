import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryHandle } from '../../registry.js'
import { registry } from '../../registry.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { blob, image, pushBlob, pushManifest } from '../helpers/images.js'

type Settings = { enabled?: boolean, interval?: string, grace?: string, deleteuntagged?: boolean, dryrun?: boolean }

async function start (t: Test, garbagecollect: Settings, driver = new MemoryDriver()): Promise<{ app: ReturnType<typeof Fastify>, handle: RegistryHandle }> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  let handle: RegistryHandle | undefined
  await app.register(registry, { storage: { delete: { enabled: true }, maintenance: { garbagecollect } }, instances: { driver }, onReady: given => { handle = given } })
  await app.ready()
  if (handle === undefined) throw new Error('no handle')
  return { app, handle }
}

t.test('what nobody refers to is put aside by one run and deleted by the next, and a push in between has it back', async t => {
  const { app, handle } = await start(t, { grace: '0s' })
  await pushManifest(t, app, 'app', image('kept'), 'v1')
  await pushBlob(t, app, 'app', blob('orphan'))
  const result = await handle.garbageCollection.runOnce()
  t.match(result, { manifests: { kept: 1 }, blobs: { kept: 3, deleted: 1 } })
  t.equal((await app.inject(`/v2/app/blobs/${blob('orphan').digest}`)).statusCode, 404)
  t.equal((await app.inject(`/v2/app/blobs/${image('kept').blobs[1]?.digest}`)).statusCode, 200)
  t.equal((await app.inject('/v2/app/manifests/v1')).statusCode, 200)
  t.match(handle.debug.read(), { garbagecollection: { runs: 1, failures: 0, blobs: 1, running: false, last: { blobs: { deleted: 1 } } } })
})

t.test('with the grace period of the default nothing that came now goes', async t => {
  const { app, handle } = await start(t, {})
  await pushBlob(t, app, 'app', blob('in the middle of a push'))
  t.match(await handle.garbageCollection.runOnce(), { blobs: { kept: 1, quarantined: 0, deleted: 0 } })
})

t.test('of two servers on one storage one collects at a time', async t => {
  const driver = new MemoryDriver()
  const servers = [await start(t, {}, driver), await start(t, {}, driver)]
  const results = await Promise.all(servers.map(async ({ handle }) => await handle.garbageCollection.runOnce()))
  t.equal(results.filter(result => result !== undefined).length, 1)
})

t.test('a dry run deletes nothing', async t => {
  const { app, handle } = await start(t, { grace: '0s', dryrun: true })
  await pushBlob(t, app, 'app', blob('orphan'))
  t.match(await handle.garbageCollection.runOnce(), { dryRun: true, blobs: { quarantined: 1, deleted: 0 } })
  t.equal((await app.inject(`/v2/app/blobs/${blob('orphan').digest}`)).statusCode, 200)
})
