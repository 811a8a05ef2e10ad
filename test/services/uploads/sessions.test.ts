import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import { DriverError } from '../../../services/errors/driver-error.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { uploadDataPath, uploadDigestsPath, uploadPath, uploadStartedAtPath } from '../../../services/registry/layout.js'
import type { FileWriter, StorageDriver } from '../../../services/storage/driver.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { LocalUploadLocks } from '../../../services/uploads/locks.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver, diskFull } from '../../helpers/fault-driver.js'
import type { Operation } from '../../helpers/fault-driver.js'
import { sha256 } from '../../helpers/images.js'

const NAME = parseRepositoryName('team/app')
const OTHER = parseRepositoryName('team/other')
const UNKNOWN_ID = '0f0e0d0c-1a2b-4c3d-8e9f-001122334455'
const WHOLE = 'the first half, the second half'

const never = (): AbortSignal => new AbortController().signal
const unknown = { code: 'BLOB_UPLOAD_UNKNOWN', status: 404 }

function body (...chunks: string[]): Readable {
  return Readable.from(chunks.map(chunk => Buffer.from(chunk)), { objectMode: false })
}

function memory (): { driver: FaultDriver, sessions: UploadSessions } {
  const driver = new FaultDriver(new MemoryDriver())
  return { driver, sessions: new UploadSessions({ driver }) }
}

async function disk (t: Test): Promise<FaultDriver> {
  return new FaultDriver(await FilesystemDriver.open({ rootdirectory: t.testdir({}), fsync: false }))
}

async function start (sessions: UploadSessions): Promise<string> {
  await using session = await sessions.start(NAME)
  return session.id
}

async function patch (sessions: UploadSessions, id: string, source: Readable): Promise<void> {
  await using session = await sessions.resume(NAME, id, never())
  await session.append(source)
  await session.flush()
}

/** What a client does after any mishap: asks where the session stands, sends the rest, and closes it. */
async function finish (t: Test, sessions: UploadSessions, id: string): Promise<void> {
  const offset = await sessions.offset(NAME, id, never())
  await using session = await sessions.resume(NAME, id, never())
  t.equal(session.offset, offset)
  await session.append(body(WHOLE.slice(offset)))
  t.equal((await session.verify(sha256(WHOLE))).size, WHOLE.length)
}

async function text (driver: StorageDriver, path: string): Promise<string> {
  return (await driver.read(path)).toString()
}

t.test('a new session is a directory with its start in whole seconds and no data', async t => {
  const { driver, sessions } = memory()
  const before = Math.floor(Date.now() / 1000) * 1000
  const id = await start(sessions)
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.same(await driver.list(uploadPath(NAME, id)), ['data', 'startedat'])
  t.equal(await text(driver, uploadDataPath(NAME, id)), '')
  const startedAt = await text(driver, uploadStartedAtPath(NAME, id))
  t.match(startedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  t.ok(Date.parse(startedAt) >= before && Date.parse(startedAt) <= Date.now(), startedAt)
})

t.test('sessions have ids of their own', async t => {
  const { sessions } = memory()
  const ids = await Promise.all(Array.from({ length: 20 }, async () => await start(sessions)))
  t.equal(new Set(ids).size, 20)
})

t.test('a session tells its bytes, as storage has them', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  t.equal(await sessions.offset(NAME, id, never()), 0)
  await patch(sessions, id, body('12345'))
  t.equal(await sessions.offset(NAME, id, never()), 5)
  t.equal(await new UploadSessions({ driver }).offset(NAME, id, never()), 5)
})

t.test('a session nobody started is unknown (R-099)', async t => {
  const { sessions } = memory()
  await t.rejects(sessions.resume(NAME, UNKNOWN_ID, never()), unknown)
  await t.rejects(sessions.offset(NAME, UNKNOWN_ID, never()), unknown)
  await t.rejects(sessions.cancel(NAME, UNKNOWN_ID, never()), unknown)
  await t.rejects(sessions.resume(NAME, UNKNOWN_ID, never()), unknown, 'the lock of the first was released')
})

t.test('a session of another repository is unknown (R-100)', async t => {
  const { sessions } = memory()
  const id = await start(sessions)
  await t.rejects(sessions.resume(OTHER, id, never()), unknown)
  await t.rejects(sessions.offset(OTHER, id, never()), unknown)
  await t.rejects(sessions.cancel(OTHER, id, never()), unknown)
  t.equal(await sessions.offset(NAME, id, never()), 0)
})

t.test('a request through another repository does not disturb a live session (R-100)', async t => {
  const { sessions } = memory()
  await using session = await sessions.start(NAME)
  const source = new PassThrough()
  const appending = session.append(source)
  appending.catch(() => {})
  const cancelling = sessions.cancel(OTHER, session.id, never())
  cancelling.catch(() => {})
  source.end(WHOLE)
  await appending
  await session.flush()
  await session[Symbol.asyncDispose]()
  await t.rejects(cancelling, unknown)
  t.equal(await sessions.offset(NAME, session.id, never()), WHOLE.length)
})

t.test('a discarded session is unknown, open or flushed', async t => {
  for (const flush of [false, true]) {
    const { driver, sessions } = memory()
    const id = await start(sessions)
    {
      await using session = await sessions.resume(NAME, id, never())
      await session.append(body('12345'))
      if (flush) await session.flush()
      await session.discard()
      await session.discard()
    }
    await t.rejects(sessions.resume(NAME, id, never()), unknown)
    await t.rejects(driver.stat(uploadPath(NAME, id)), { message: /path not found/ })
  }
})

t.test('a cancelled session is gone with its bytes (R-123)', async t => {
  const driver = await disk(t)
  const sessions = new UploadSessions({ driver })
  const id = await start(sessions)
  await patch(sessions, id, body('12345'))
  await sessions.cancel(NAME, id, never())
  await t.rejects(driver.stat(uploadPath(NAME, id)), { message: /path not found/ })
  await t.rejects(sessions.resume(NAME, id, never()), unknown)
  await t.rejects(sessions.cancel(NAME, id, never()), unknown, 'R-124')
})

t.test('cancelling stops a request that is writing, and leaves nothing of it', async t => {
  const driver = await disk(t)
  const sessions = new UploadSessions({ driver })
  const id = await start(sessions)
  const source = new PassThrough()
  const written = new Promise<void>(resolve => {
    driver.before = ({ operation }) => { if (operation === 'writer.write') resolve() }
  })
  const writing = patch(sessions, id, source)
  writing.catch(() => {})
  source.write('12345')
  await written
  await sessions.cancel(NAME, id, never())
  await t.rejects(writing, { code: 'RANGE_INVALID', detail: 'another request took over this upload' })
  t.equal(source.destroyed, false, 'the connection is needed for the answer')
  await t.rejects(driver.stat(uploadPath(NAME, id)), { message: /path not found/ })
  await t.rejects(sessions.offset(NAME, id, never()), unknown)
})

t.test('a start that fails leaves nothing behind', async t => {
  for (const failing of ['write', 'openWriter'] as const) {
    const { driver, sessions } = memory()
    driver.before = call => { if (call.operation === failing) throw diskFull(call) }
    await t.rejects(sessions.start(NAME, { sha512: true }), { message: /ENOSPC/ })
    driver.before = () => {}
    t.same(await driver.list('/docker/registry/v2/repositories/team/app/_uploads').catch(() => []), [])
  }
})

t.test('when the client goes away what arrived stays, durable, and the upload goes on from there (R-101)', async t => {
  for (const where of ['in this process', 'in another one']) {
    const driver = await disk(t)
    const sessions = new UploadSessions({ driver })
    const id = await start(sessions)
    const source = new PassThrough()
    driver.before = ({ operation }) => { if (operation === 'writer.write') source.destroy() }
    const writing = patch(sessions, id, source)
    writing.catch(() => {})
    source.write(WHOLE.slice(0, 10))
    await t.rejects(writing, { name: 'ClientAborted' })
    driver.before = () => {}
    t.equal(driver.calls.filter(({ operation }) => operation === 'writer.close').length, 2, 'of the start and of the broken request')
    t.equal(await text(driver, uploadDigestsPath(NAME, id)), `10\n${sha256(WHOLE.slice(0, 10))}`)
    const next = where === 'in this process' ? sessions : new UploadSessions({ driver })
    t.equal(await next.offset(NAME, id, never()), 10)
    await finish(t, next, id)
  }
})

t.test('a client that goes away keeps what arrived even if it had announced a length (R-118)', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  const source = new PassThrough()
  driver.before = ({ operation }) => { if (operation === 'writer.write') source.destroy(new Error('reset')) }
  source.write(WHOLE.slice(0, 10))
  {
    await using session = await sessions.resume(NAME, id, never())
    await t.rejects(session.append(source, { length: WHOLE.length }), { name: 'ClientAborted' })
  }
  driver.before = () => {}
  await finish(t, sessions, id)
})

t.test('a full disk fails the request, and the session goes on when there is room (R-250)', async t => {
  const cases: ReadonlyArray<readonly [string, Operation, RegExp]> = [
    ['while bytes arrive', 'writer.write', /\/data$/],
    ['while the file is made durable', 'writer.close', /\/data$/],
    ['while digests are kept', 'write', /\/digests$/]
  ]
  for (const [when, operation, path] of cases) {
    for (const where of ['memory', 'disk']) {
      for (const restarted of [false, true]) {
        await t.test(`${when}, on ${where}${restarted ? ', after a restart' : ''}`, async t => {
          const driver = where === 'disk' ? await disk(t) : new FaultDriver(new MemoryDriver())
          const sessions = new UploadSessions({ driver })
          const id = await start(sessions)
          await patch(sessions, id, body(WHOLE.slice(0, 7)))
          driver.before = call => { if (call.operation === operation && path.test(call.path)) throw diskFull(call) }
          await t.rejects(patch(sessions, id, body(WHOLE.slice(7, 12))), { message: /ENOSPC/ })
          driver.before = () => {}
          await finish(t, restarted ? new UploadSessions({ driver }) : sessions, id)
        })
      }
    }
  }
})

t.test('a batch the disk took only in part counts as far as it reached the file', async t => {
  class ShortDisk extends MemoryDriver {
    full = false
    override async openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter> {
      const writer = await super.openWriter(path, options)
      return {
        get size () { return writer.size },
        write: async chunks => {
          if (!this.full) return await writer.write(chunks)
          await writer.write([Buffer.concat(chunks).subarray(0, 3)])
          throw new DriverError('failed', { driver: this.name, path, detail: 'ENOSPC' })
        },
        truncate: async size => { await writer.truncate(size) },
        close: async () => { await writer.close() },
        cancel: async () => { await writer.cancel() }
      }
    }
  }
  for (const before of ['', WHOLE.slice(0, 7)]) {
    const driver = new ShortDisk()
    const sessions = new UploadSessions({ driver })
    const id = await start(sessions)
    await patch(sessions, id, body(before))
    driver.full = true
    await t.rejects(patch(sessions, id, body(WHOLE.slice(before.length, 20))), { message: /ENOSPC/ })
    driver.full = false
    t.equal(await sessions.offset(NAME, id, never()), before.length, 'what was acknowledged stays, the failed body is taken back')
    await finish(t, sessions, id)
  }
})

t.test('two requests on one session write one after the other, never mixed (R-102)', async t => {
  const driver = await disk(t)
  const sessions = new UploadSessions({ driver })
  const id = await start(sessions)
  const sources = [new PassThrough(), new PassThrough()] as const
  const writing = sources.map(async source => { await patch(sessions, id, source) })
  for (let i = 0; i < 100; i++) {
    sources[0].write('a'.repeat(1000))
    sources[1].write('b'.repeat(1000))
    if (i % 10 === 0) await new Promise(resolve => { setImmediate(resolve) })
  }
  for (const source of sources) source.end()
  await Promise.all(writing)
  const content = await text(driver, uploadDataPath(NAME, id))
  t.equal(content, `${'a'.repeat(100_000)}${'b'.repeat(100_000)}`)
  await using session = await sessions.resume(NAME, id, never())
  await session.verify(sha256(content))
  t.equal(driver.calls.some(({ operation }) => operation === 'createReadStream'), false)
})

t.test('a request takes over from a dead one, and goes on behind what that one left (R-102)', async t => {
  const driver = await disk(t)
  const sessions = new UploadSessions({ driver, locks: new LocalUploadLocks({ idleMs: 0 }) })
  const id = await start(sessions)
  const dead = new PassThrough()
  const written = new Promise<void>(resolve => {
    driver.before = ({ operation }) => { if (operation === 'writer.write') resolve() }
  })
  const writing = patch(sessions, id, dead)
  writing.catch(() => {})
  dead.write(WHOLE.slice(0, 10))
  await written
  await using session = await sessions.resume(NAME, id, never())
  await t.rejects(writing, { code: 'RANGE_INVALID', status: 416 })
  t.equal(session.offset, 10)
  dead.write('late bytes of the dead request')
  await session.append(body(WHOLE.slice(10)))
  t.equal((await session.verify(sha256(WHOLE))).size, WHOLE.length)
})

t.test('a request that goes away while it waits for the session does not keep it', async t => {
  const { sessions } = memory()
  const id = await start(sessions)
  const controller = new AbortController()
  {
    await using session = await sessions.resume(NAME, id, never())
    const waiting = sessions.resume(NAME, id, controller.signal)
    controller.abort(new Error('caller left'))
    await t.rejects(waiting, { message: 'caller left' })
    await session.append(body(WHOLE.slice(0, 10)))
  }
  await finish(t, sessions, id)
})

t.test('giving a session up without a flush keeps its bytes and their digest', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  {
    await using session = await sessions.resume(NAME, id, never())
    await session.append(body(WHOLE))
  }
  await using session = await new UploadSessions({ driver }).resume(NAME, id, never())
  await session.verify(sha256(WHOLE))
  t.equal(driver.calls.some(({ operation }) => operation === 'createReadStream'), false)
})
