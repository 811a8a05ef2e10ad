import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import type { RegistryHandle, RegistryOptions } from '../../registry.js'
import { parseRepositoryName } from '../../services/reference/reference.js'
import { uploadDataPath, uploadPath } from '../../services/registry/layout.js'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { recordingLog } from '../helpers/log.js'
import { PlayedWorkers } from '../helpers/played-workers.js'

const NAME = parseRepositoryName('team/app')
const ID = '0190d8a0-1234-7abc-8def-0123456789ab'

async function start (t: Test, options: Partial<RegistryOptions> = {}): Promise<{ app: FastifyInstance, handle: RegistryHandle, lines: string[], driver: FilesystemDriver, store: (id: string) => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'oci-registry-test-'))
  const driver = await FilesystemDriver.open({ rootdirectory: root, fsync: false })
  const { log, lines } = recordingLog()
  const app: FastifyInstance = Fastify({ loggerInstance: log as FastifyBaseLogger })
  t.teardown(async () => {
    await app.close()
    await rm(root, { recursive: true, force: true })
  })
  let handle: RegistryHandle | undefined
  await app.register(registry, { ...options, instances: { driver, ...options.instances }, onReady: ready => { handle = ready } })
  await app.ready()
  if (handle === undefined) throw new Error('not ready')
  const store = async (id: string): Promise<void> => {
    const path = uploadDataPath(NAME, id)
    await driver.write(path, Buffer.from('12345'))
    const old = new Date('2020-01-01T00:00:00Z')
    await utimes(join(root, path), old, old)
  }
  return { app, handle, lines, driver, store }
}

function purging (lines: readonly string[]): string[] {
  return lines.filter(line => line.includes('Starting upload purge in'))
}

t.test('it is on by default, starts with the server, and can be run by an embedding host', async t => {
  const { handle, lines, driver, store } = await start(t)
  t.equal(purging(lines).length, 1)
  t.match(purging(lines)[0], /^info: Starting upload purge in \d+(m0)?s$/)
  await store(ID)
  t.match(await handle.uploadPurge.runOnce(), { sessions: 1, deleted: 1, errors: 0 })
  await t.rejects(driver.stat(uploadPath(NAME, ID)))
  t.match(handle.debug.read(), { uploadpurge: { runs: 1, deleted: 1, bytes: 5, last: { dryRun: false } } })
})

t.test('switched off it never starts by itself', async t => {
  const { lines, handle } = await start(t, { storage: { maintenance: { uploadpurging: { enabled: false } } } })
  t.same(purging(lines), [])
  t.match(await handle.uploadPurge.runOnce(), { sessions: 0 })
})

t.test('it runs in read-only mode too', async t => {
  const { lines, handle, store } = await start(t, { storage: { maintenance: { readonly: { enabled: true } } } })
  t.equal(purging(lines).length, 1)
  await store(ID)
  t.match(await handle.uploadPurge.runOnce(), { deleted: 1 })
})

t.test('of several processes the leader does it; when it dies the next one', async t => {
  const workers = new PlayedWorkers(2)
  const [first, second] = workers.all
  if (first === undefined || second === undefined) throw new Error('two are needed')
  const leader = await start(t, { instances: { workers: first } })
  const other = await start(t, { instances: { workers: second } })
  t.equal(purging(leader.lines).length, 1)
  t.equal(purging(other.lines).length, 0)
  workers.kill(first)
  t.equal(purging(other.lines).length, 1)
})

t.test('closing ends it', async t => {
  const { app, handle } = await start(t)
  await app.close()
  await t.rejects(handle.uploadPurge.runOnce(), { message: 'upload purge was stopped' })
})
