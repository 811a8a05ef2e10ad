import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import { purgeUploads } from '../../../services/maintenance/purge-uploads.js'
import type { PurgeOptions, PurgeResult } from '../../../services/maintenance/purge-uploads.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { uploadDataPath, uploadPath, uploadStartedAtPath } from '../../../services/registry/layout.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import { recordingLog } from '../../helpers/log.js'

const NAME = parseRepositoryName('team/app')
const OTHER = parseRepositoryName('team/app/below')
const HOUR = 3_600_000
const ID = '0190d8a0-1234-7abc-8def-0123456789ab'
const ID_2 = '0190d8a0-1234-7abc-8def-0123456789ac'
const never = (): AbortSignal => new AbortController().signal

/** Purges what is older than a week, `later` milliseconds from now. */
async function purge (driver: StorageDriver, later: number, options: Partial<PurgeOptions> = {}): Promise<PurgeResult & { lines: string[] }> {
  const { log, lines } = recordingLog()
  const result = await purgeUploads({
    driver, sessions: new UploadSessions({ driver }), ageMs: 168 * HOUR, dryRun: false, log, clock: { now: () => Date.now() + later }, ...options
  })
  return { ...result, lines }
}

async function left (driver: StorageDriver, id = ID, name = NAME): Promise<boolean> {
  return await driver.stat(uploadPath(name, id)).then(() => true, () => false)
}

async function store (driver: StorageDriver, id: string, startedAt: string | undefined, name = NAME): Promise<void> {
  await driver.write(uploadDataPath(name, id), Buffer.from('12345'))
  if (startedAt !== undefined) await driver.write(uploadStartedAtPath(name, id), Buffer.from(startedAt))
}

const STARTED = new Date().toISOString().replace(/\.\d{3}Z$/, 'Z')

t.test('a session that was started and last written longer ago than the age goes, a younger one stays', async t => {
  const driver = new MemoryDriver()
  await store(driver, ID, STARTED)
  const young = await purge(driver, 167 * HOUR)
  t.match(young, { sessions: 1, deleted: 0, errors: 0 })
  t.equal(await left(driver), true)
  const old = await purge(driver, 169 * HOUR)
  t.match(old, { sessions: 1, deleted: 1, bytes: 5 + STARTED.length, errors: 0, dryRun: false })
  t.equal(await left(driver), false)
  const [starting = '', removed = '', finished] = old.lines
  t.match(starting, /^info: PurgeUploads starting: olderThan=\d{4}-.*, actuallyDelete=true$/)
  t.match(removed, /^info: Upload files in \/docker\/registry\/v2\/repositories\/team\/app\/_uploads\/0190d8a0-1234-7abc-8def-0123456789ab have older date \(.*\) than purge date \(.*\)\. {2}Removed the upload directory\.$/)
  t.equal(finished, 'info: Purge uploads finished.  Num deleted=1, num errors=0')
})

t.test('all repositories are looked at, also nested ones that hold nothing else', async t => {
  const driver = new MemoryDriver()
  await store(driver, ID, STARTED)
  await store(driver, ID_2, STARTED, OTHER)
  t.match(await purge(driver, 169 * HOUR), { sessions: 2, deleted: 2 })
})

t.test('a dry run says what it would remove and removes nothing', async t => {
  const driver = new MemoryDriver()
  await store(driver, ID, STARTED)
  const purged: string[] = []
  const result = await purge(driver, 169 * HOUR, { dryRun: true, onPurged: ({ id, bytes, repository }) => purged.push(`${repository} ${id} ${bytes}`) })
  t.match(result, { deleted: 1, dryRun: true })
  t.same(purged, [`${NAME} ${ID} ${5 + STARTED.length}`])
  t.match(result.lines[0], /actuallyDelete=false/)
  t.match(result.lines[1], /Dry run: the upload directory stays\.$/)
  t.equal(await left(driver), true)
})

for (const [what, startedAt] of [['missing', undefined], ['empty', ''], ['no time', 'yesterday'], ['a number', '2020'], ['too long', '2026-01-01T00:00:00Z'.padEnd(300)]] as const) {
  t.test(`where startedat is ${what} the time of the last write counts`, async t => {
    const driver = new MemoryDriver()
    await store(driver, ID, startedAt)
    t.match(await purge(driver, 167 * HOUR), { sessions: 1, deleted: 0 })
    t.match(await purge(driver, 169 * HOUR), { sessions: 1, deleted: 1 })
  })
}

t.test('a session that was started long ago and is still written to stays: docker\'s registry would take it away', async t => {
  const driver = new MemoryDriver()
  await store(driver, ID, '2020-01-01T00:00:00Z')
  t.match(await purge(driver, 167 * HOUR), { deleted: 0 })
  t.match(await purge(driver, 169 * HOUR), { deleted: 1 })
})

t.test('one that says it was started in the future is not older than anything', async t => {
  const driver = new MemoryDriver()
  await store(driver, ID, '2999-01-01T00:00:00Z')
  t.match(await purge(driver, 169 * HOUR), { deleted: 0 })
})

t.test('hash states of docker\'s registry go with the session, and count as a write', async t => {
  const driver = new MemoryDriver()
  await driver.write(`${uploadPath(NAME, ID)}/hashstates/sha256/0`, Buffer.alloc(108))
  t.match(await purge(driver, 167 * HOUR), { sessions: 1, deleted: 0 })
  t.match(await purge(driver, 169 * HOUR), { deleted: 1, bytes: 108 })
  t.equal(await left(driver), false)
})

t.test('what got bytes in the last minute may have a writer in another process, and stays whatever the age', async t => {
  const driver = new MemoryDriver()
  await store(driver, ID, '2020-01-01T00:00:00Z')
  t.match(await purge(driver, 59_000, { ageMs: 0 }), { deleted: 0 })
  t.match(await purge(driver, 61_000, { ageMs: 0 }), { deleted: 1 })
})

t.test('a directory without files is as old as itself', async t => {
  const root = await mkdtemp(join(tmpdir(), 'oci-registry-test-'))
  t.teardown(async () => { await rm(root, { recursive: true }) })
  const driver = await FilesystemDriver.open({ rootdirectory: root })
  await driver.write(`${uploadPath(NAME, ID)}/hashstates/x`, Buffer.from(''))
  await driver.delete(`${uploadPath(NAME, ID)}/hashstates/x`)
  t.match(await purge(driver, 0), { sessions: 1, deleted: 0 })
  t.match(await purge(driver, 169 * HOUR), { sessions: 1, deleted: 1 })
  t.equal(await left(driver), false)
  await store(driver, ID, '2020-01-01T00:00:00Z')
  const old = new Date('2020-01-02T00:00:00Z')
  for (const path of [uploadDataPath(NAME, ID), uploadStartedAtPath(NAME, ID)]) await utimes(join(root, path), old, old)
  t.match(await purge(driver, 0), { deleted: 1 }, 'files say how old they are, not their directory')
})

t.test('what is no session is left alone', async t => {
  const driver = new MemoryDriver()
  await store(driver, 'somebody-elses', '2020-01-01T00:00:00Z')
  t.match(await purge(driver, 169 * HOUR), { sessions: 0, deleted: 0 })
  t.equal(await left(driver, 'somebody-elses'), true)
})

t.test('a session that a request holds is never touched, however long nothing came', async t => {
  const driver = new MemoryDriver()
  const sessions = new UploadSessions({ driver })
  const session = await sessions.start(NAME)
  t.match(await purge(driver, 1000 * HOUR, { sessions }), { sessions: 1, deleted: 0, errors: 0 })
  await session.append(Readable.from([Buffer.from('bytes')], { objectMode: false }))
  await session.flush()
  await session[Symbol.asyncDispose]()
  t.match(await purge(driver, 1000 * HOUR, { sessions }), { sessions: 1, deleted: 1, errors: 0 })
})

t.test('a request that comes while its session is being removed waits, and is told that there is none', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const sessions = new UploadSessions({ driver })
  const { id } = await started(t, sessions)
  let resumed: Promise<unknown> | undefined
  driver.before = ({ operation }) => {
    if (operation === 'delete') resumed = t.rejects(sessions.resume(NAME, id, never()), { code: 'BLOB_UPLOAD_UNKNOWN' })
  }
  t.match(await purge(driver, 1000 * HOUR, { sessions }), { deleted: 1 })
  t.ok(resumed)
  await resumed
})

for (const who of ['this process', 'another process'] as const) {
  t.test(`a session that gets a request of ${who} after the first look stays`, async t => {
    const driver = new FaultDriver(new MemoryDriver())
    const sessions = new UploadSessions({ driver })
    const { id } = await started(t, sessions)
    const now = Date.now() + 169 * HOUR
    let looks = 0
    driver.before = async ({ operation, path }) => {
      if (operation !== 'list' || !path.endsWith(id) || looks++ > 0) return
      if (who === 'this process') await sessions.resume(NAME, id, never())
      else await driver.write(uploadStartedAtPath(NAME, id), Buffer.from(new Date(now).toISOString()))
    }
    t.match(await purge(driver, 0, { sessions, clock: { now: () => now } }), { sessions: 1, deleted: 0, errors: 0 })
    t.equal(looks, 1)
    t.equal(await left(driver, id), true)
  })
}

t.test('what cannot be removed is counted and logged; the rest goes, and the next run takes it', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  await store(driver, ID, STARTED)
  await store(driver, ID_2, STARTED)
  driver.before = call => { if (call.operation === 'delete' && call.path.endsWith(ID)) throw diskFull(call) }
  const result = await purge(driver, 169 * HOUR)
  t.match(result, { sessions: 2, deleted: 1, errors: 1 })
  t.ok(result.lines.some(line => line.startsWith('error: cannot purge ')))
  driver.before = () => {}
  t.match(await purge(driver, 169 * HOUR), { sessions: 1, deleted: 1, errors: 0 })
})

t.test('whichever storage call fails, only stale sessions go, and a second run takes all of them', async t => {
  let number = 0
  for (let reached = true; reached; number++) {
    const driver = new FaultDriver(new MemoryDriver())
    await store(driver, ID, '2020-01-01T00:00:00Z')
    await store(driver, ID_2, new Date(Date.now() + 168 * HOUR).toISOString(), OTHER)
    let count = 0
    driver.before = call => { if (count++ === number) throw diskFull(call) }
    const outcome = await purge(driver, 169 * HOUR).catch((error: Error) => ({ errors: 1, error }))
    reached = count > number
    driver.before = () => {}
    t.equal(outcome.errors, reached ? 1 : 0, `call ${number}`)
    t.equal(await left(driver, ID_2, OTHER), true)
    await purge(driver, 169 * HOUR)
    t.equal(await left(driver), false)
    t.equal(await left(driver, ID_2, OTHER), true)
  }
  t.ok(number > 10, `${number} calls`)
})

t.test('it ends with the signal', async t => {
  const driver = new MemoryDriver()
  await store(driver, ID, STARTED)
  await t.rejects(purge(driver, 169 * HOUR, { signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
  t.equal(await left(driver), true)
})

/** A session with bytes and no request on it. */
async function started (t: Test, sessions: UploadSessions): Promise<{ id: string }> {
  await using session = await sessions.start(NAME)
  await session.append(Readable.from([Buffer.from('bytes')], { objectMode: false }))
  await session.flush()
  t.equal(session.offset, 5)
  return { id: session.id }
}
