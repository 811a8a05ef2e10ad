import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import type { Digest } from '../../../services/reference/reference.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { uploadDataPath, uploadDigestsPath, uploadPath, uploadStartedAtPath } from '../../../services/registry/layout.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { sha256, sha512 } from '../../helpers/images.js'

const NAME = parseRepositoryName('team/app')
const PARTS = ['first part,', 'second part,', 'third part']
const WHOLE = PARTS.join('')

const never = (): AbortSignal => new AbortController().signal

function body (...chunks: string[]): Readable {
  return Readable.from(chunks.map(chunk => Buffer.from(chunk)), { objectMode: false })
}

const DRIVERS: ReadonlyArray<readonly [string, (t: Test) => Promise<StorageDriver>]> = [
  ['in memory', async () => new MemoryDriver()],
  ['on disk', async t => await FilesystemDriver.open({ rootdirectory: t.testdir({}), fsync: false })]
]

async function start (sessions: UploadSessions, options: { sha512?: boolean } = {}): Promise<string> {
  await using session = await sessions.start(NAME, options)
  return session.id
}

async function patch (sessions: UploadSessions, id: string, text: string): Promise<number> {
  await using session = await sessions.resume(NAME, id, never())
  await session.append(body(text))
  await session.flush()
  return session.offset
}

async function verify (sessions: UploadSessions, id: string, digest: Digest, text = ''): Promise<{ canonical: Digest, size: number, path: string }> {
  await using session = await sessions.resume(NAME, id, never())
  if (text !== '') await session.append(body(text))
  return await session.verify(digest)
}

/** How often the bytes of an upload were read back. */
function readsBack (driver: FaultDriver): number {
  return driver.calls.filter(({ operation, path }) => operation === 'createReadStream' || (operation === 'read' && path.endsWith('/data'))).length
}

for (const [where, open] of DRIVERS) {
  const storage = async (t: Test): Promise<{ driver: FaultDriver, sessions: UploadSessions }> => {
    const driver = new FaultDriver(await open(t))
    return { driver, sessions: new UploadSessions({ driver }) }
  }

  t.test(`POST, PATCH, PUT ${where} reads nothing back`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions)
    t.equal(await patch(sessions, id, WHOLE), WHOLE.length)
    t.same(await verify(sessions, id, sha256(WHOLE)), { canonical: sha256(WHOLE), size: WHOLE.length, path: uploadDataPath(NAME, id), spare: uploadStartedAtPath(NAME, id) })
    t.equal(readsBack(driver), 0)
    t.equal((await driver.read(uploadDataPath(NAME, id))).toString(), WHOLE)
  })

  t.test(`many PATCHes ${where} read nothing back, whatever the last one was`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions)
    for (const part of PARTS.slice(0, 2)) await patch(sessions, id, part)
    await verify(sessions, id, sha256(WHOLE), PARTS[2])
    t.equal(readsBack(driver), 0)
  })

  t.test(`POST, PUT with the body ${where} reads nothing back`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions)
    await verify(sessions, id, sha256(WHOLE), WHOLE)
    t.equal(readsBack(driver), 0)
  })

  t.test(`a PUT ${where} after a restart reads nothing back: the PATCH left its digests with the session`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions)
    await patch(new UploadSessions({ driver }), id, WHOLE)
    const digests = (await driver.read(uploadDigestsPath(NAME, id))).toString()
    t.equal(digests, `${WHOLE.length}\n${sha256(WHOLE)}`)
    t.equal((await verify(new UploadSessions({ driver }), id, sha256(WHOLE))).canonical, sha256(WHOLE))
    t.equal(readsBack(driver), 0)
  })

  t.test(`PATCHes ${where} on two processes are read back once, at the end`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions)
    await patch(sessions, id, PARTS[0] ?? '')
    await patch(new UploadSessions({ driver }), id, `${PARTS[1]}${PARTS[2]}`)
    t.equal(readsBack(driver), 0)
    t.equal((await verify(sessions, id, sha256(WHOLE))).canonical, sha256(WHOLE))
    t.equal(readsBack(driver), 1)
  })

  t.test(`sha512 asked for only at the end ${where} is read back once (R-079)`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions)
    await patch(sessions, id, WHOLE)
    t.equal((await verify(sessions, id, sha512(WHOLE))).canonical, sha256(WHOLE))
    t.equal(readsBack(driver), 1)
  })

  t.test(`a session started for sha512 ${where} reads nothing back, also after a restart (R-077)`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions, { sha512: true })
    await patch(new UploadSessions({ driver }), id, WHOLE)
    t.equal((await driver.read(uploadDigestsPath(NAME, id))).toString(), `${WHOLE.length}\n${sha256(WHOLE)}\n${sha512(WHOLE)}`)
    t.equal((await verify(new UploadSessions({ driver }), id, sha512(WHOLE))).canonical, sha256(WHOLE))
    t.equal(readsBack(driver), 0)
  })

  t.test(`content of another digest ${where} ends the session (R-108)`, async t => {
    const { driver, sessions } = await storage(t)
    const id = await start(sessions)
    await patch(sessions, id, WHOLE)
    await t.rejects(verify(sessions, id, sha256('something else')), { code: 'DIGEST_INVALID', status: 400 })
    await t.rejects(sessions.resume(NAME, id, never()), { code: 'BLOB_UPLOAD_UNKNOWN' })
    await t.rejects(driver.stat(uploadPath(NAME, id)), { message: /path not found/ })
  })
}

function memory (): { driver: FaultDriver, sessions: UploadSessions } {
  const driver = new FaultDriver(new MemoryDriver())
  return { driver, sessions: new UploadSessions({ driver }) }
}

t.test('an empty session verifies as the empty blob (R-111)', async t => {
  const { sessions } = memory()
  const id = await start(sessions)
  t.same(await verify(sessions, id, sha256('')), { canonical: sha256(''), size: 0, path: uploadDataPath(NAME, id), spare: uploadStartedAtPath(NAME, id) })
  t.equal((await verify(sessions, await start(sessions), sha512(''))).canonical, sha256(''))
})

t.test('an empty PATCH changes nothing (R-097)', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  t.equal(await patch(sessions, id, ''), 0)
  t.equal(await patch(sessions, id, WHOLE), WHOLE.length)
  t.equal(await patch(sessions, id, ''), WHOLE.length)
  await verify(sessions, id, sha256(WHOLE))
  t.equal(readsBack(driver), 0)
})

t.test('content that does not match a sha512 digest ends the session, hashed from the start or not', async t => {
  for (const options of [{}, { sha512: true }]) {
    const { sessions } = memory()
    const id = await start(sessions, options)
    await patch(sessions, id, WHOLE)
    await t.rejects(verify(sessions, id, sha512('something else')), { code: 'DIGEST_INVALID' })
    await t.rejects(sessions.resume(NAME, id, never()), { code: 'BLOB_UPLOAD_UNKNOWN' })
  }
})

t.test('a session can be told to hash with sha512 before its first byte', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  await using session = await sessions.resume(NAME, id, never())
  session.hashWith('sha512')
  await session.append(body(WHOLE))
  await session.verify(sha512(WHOLE))
  t.equal(readsBack(driver), 0)
})

t.test('hashing with sha512 after the first byte is too late, and does not lose what was hashed', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  await patch(sessions, id, PARTS[0] ?? '')
  {
    await using session = await sessions.resume(NAME, id, never())
    session.hashWith('sha512')
    await session.append(body(`${PARTS[1]}${PARTS[2]}`))
    await session.flush()
  }
  await verify(sessions, id, sha256(WHOLE))
  t.equal(readsBack(driver), 0)
  await verify(sessions, id, sha512(WHOLE))
  t.equal(readsBack(driver), 1)
})

t.test('a body of another length than announced is taken back, and the session goes on (R-096)', async t => {
  for (const [what, text, length] of [['too long', 'far too many bytes', 3], ['too short', 'few', 30], ['not there', '', 1]] as const) {
    for (const before of ['', PARTS[0] ?? '']) {
      await t.test(`${what}, ${before.length} bytes in`, async t => {
        const { driver, sessions } = memory()
        const id = await start(sessions)
        await patch(sessions, id, before)
        {
          await using session = await sessions.resume(NAME, id, never())
          await t.rejects(session.append(body(text), { length }), { code: 'SIZE_INVALID', status: 400 })
          t.equal(session.offset, before.length)
        }
        t.equal((await driver.read(uploadDataPath(NAME, id))).toString(), before)
        const rest = WHOLE.slice(before.length)
        await using session = await sessions.resume(NAME, id, never())
        t.equal(session.offset, before.length)
        await session.append(body(rest), { length: rest.length })
        t.equal((await session.verify(sha256(WHOLE))).size, WHOLE.length)
      })
    }
  }
})

t.test('a taken back body leaves the session as good as before, without another read (R-096)', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  await patch(sessions, id, WHOLE)
  {
    await using session = await sessions.resume(NAME, id, never())
    await t.rejects(session.append(body('one', 'two', 'three'), { length: 4 }), { code: 'SIZE_INVALID' })
  }
  await verify(sessions, id, sha256(WHOLE))
  t.equal(readsBack(driver), 0)
})

t.test('an empty body of announced length 0 is right', async t => {
  const { sessions } = memory()
  const id = await start(sessions)
  await using session = await sessions.resume(NAME, id, never())
  await session.append(body(), { length: 0 })
  t.equal((await session.verify(sha256(''))).size, 0)
})

t.test('a digests file that says something else is passed over, and the bytes are read again', async t => {
  const offset = WHOLE.length
  const right = sha256(WHOLE)
  for (const [what, content] of [
    ['empty', ''],
    ['no digest', `${offset}`],
    ['no canonical digest', `${offset}\n${sha512(WHOLE)}`],
    ['another offset', `${offset - 1}\n${right}`],
    ['no offset', right],
    ['a negative offset', `-${offset}\n${right}`],
    ['a fraction', `${offset}.0\n${right}`],
    ['a broken digest', `${offset}\n${right.slice(0, -1)}`],
    ['an unsupported digest', `${offset}\nmd5:d41d8cd98f00b204e9800998ecf8427e`],
    ['a line too many', `${offset}\n${right}\n`],
    ['binary garbage', '\x00\xff\x00'],
    ['very long garbage', 'x'.repeat(100_000)]
  ] as const) {
    await t.test(what, async t => {
      const { driver, sessions } = memory()
      const id = await start(sessions)
      await patch(sessions, id, WHOLE)
      await driver.write(uploadDigestsPath(NAME, id), Buffer.from(content, 'latin1'))
      t.equal((await verify(new UploadSessions({ driver }), id, right)).canonical, right)
      t.equal(readsBack(driver), 1)
    })
  }
})

t.test('a lost digests file costs one read, not the upload', async t => {
  const { driver, sessions } = memory()
  const id = await start(sessions)
  await patch(sessions, id, WHOLE)
  await driver.delete(uploadDigestsPath(NAME, id))
  t.equal((await verify(new UploadSessions({ driver }), id, sha256(WHOLE))).size, WHOLE.length)
  t.equal(readsBack(driver), 1)
})
