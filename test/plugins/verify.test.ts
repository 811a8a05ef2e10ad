import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import type { RegistryHandle, RegistryOptions } from '../../registry.js'
import { blobPath } from '../../services/registry/layout.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { image, sha256 } from '../helpers/images.js'
import { open, push } from '../helpers/verified.js'
import { PlayedWorkers } from '../helpers/played-workers.js'

async function start (t: Test, options: Partial<RegistryOptions> = {}): Promise<{ handle: RegistryHandle, close: () => Promise<void> }> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  let handle: RegistryHandle | undefined
  await app.register(registry, { ...options, onReady: ready => { handle = ready } })
  await app.ready()
  if (handle === undefined) throw new Error('not ready')
  return { handle, close: async () => { await app.close() } }
}

/** How many timers a start makes that do not keep the process alive: of the purge, and of this. */
async function timers (t: Test, options: Partial<RegistryOptions>): Promise<number> {
  const real = globalThis.setTimeout
  let count = 0
  globalThis.setTimeout = ((run: () => void, ms: number) => {
    if (ms >= 60_000) count++
    return real(run, ms)
  }) as unknown as typeof setTimeout
  try {
    await start(t, options)
  } finally {
    globalThis.setTimeout = real
  }
  return count
}

const purgeOff = { uploadpurging: { enabled: false } }

t.test('it is off by default, and starts with the server where it is switched on', async t => {
  t.equal(await timers(t, { storage: { inmemory: {}, maintenance: purgeOff } }), 0)
  t.equal(await timers(t, { storage: { inmemory: {}, maintenance: { ...purgeOff, verify: { enabled: true } } } }), 1)
})

t.test('of several processes the leader does it', async t => {
  const workers = new PlayedWorkers(2)
  const storage = { inmemory: {}, maintenance: { ...purgeOff, verify: { enabled: true } } }
  const counts: number[] = []
  for (const worker of workers.all) counts.push(await timers(t, { storage, instances: { workers: worker } }))
  t.same(counts, [1, 0])
})

t.test('an embedding host runs it, sees the result, and closing ends it', async t => {
  const driver = new MemoryDriver()
  await push(open(driver), image('embedded'))
  await driver.write(blobPath(sha256('young')), Buffer.from('rotten'))
  const { handle, close } = await start(t, { instances: { driver }, storage: { maintenance: { verify: { rate: '1GB' } } } })
  t.match(await handle.verify.runOnce(), { blobs: 4, corrupt: 0, young: 2, repaired: 0 })
  t.match(handle.debug.read(), { verify: { runs: 1, failures: 0, last: { blobs: 4 } } })
  await close()
  await t.rejects(handle.verify.runOnce(), { message: 'verify was stopped' })
})
