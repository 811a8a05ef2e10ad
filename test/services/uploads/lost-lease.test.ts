import { Readable } from 'node:stream'
import t from 'tap'
import { DriverError } from '../../../services/errors/driver-error.js'
import { OciError } from '../../../services/errors/oci-error.js'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import { uploadDataPath } from '../../../services/registry/layout.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { LocalUploadLocks, forever } from '../../../services/uploads/locks.js'
import type { LeaseProof, UploadLease } from '../../../services/uploads/locks.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { sha256 } from '../../helpers/images.js'
import { ObjectDriver } from '../../helpers/object-driver.js'

const NAME = parseRepositoryName('team/app')

/** Locks that say of each lease what the test wants. */
class ToldLocks extends LocalUploadLocks {
  isFresh = true
  isSure = true
  isLost = false
  asked = 0

  override async acquire (id: string, signal: AbortSignal): Promise<UploadLease> {
    const lease = await super.acquire(id, signal)
    const answer = async (): Promise<boolean> => {
      this.asked++
      if (this.isLost) throw new OciError('RANGE_INVALID', { detail: 'another server took over this upload' })
      return this.isSure
    }
    const isFresh = (): boolean => this.isFresh
    const proof: LeaseProof = { get isFresh () { return isFresh() }, renew: answer, end: answer }
    return { ...lease, proof }
  }
}

interface Stage { readonly locks: ToldLocks, readonly driver: FaultDriver, readonly sessions: UploadSessions, readonly id: string, stored (): Promise<string>, overwrite (text: string): Promise<void> }

/** A session that holds `first `. */
async function stage (): Promise<Stage> {
  const store = new ObjectDriver(new MemoryDriver())
  const driver = new FaultDriver(store)
  const locks = new ToldLocks()
  const sessions = new UploadSessions({ driver, locks })
  const started = await sessions.start(NAME)
  await started.append(body('first '))
  await started[Symbol.asyncDispose]()
  const path = uploadDataPath(NAME, started.id)
  driver.calls.length = 0
  return { locks, driver, sessions, id: started.id, stored: async () => String(await store.read(path)), overwrite: async text => { await store.write(path, Buffer.from(text)) } }
}

function body (text: string): Readable {
  return Readable.from([Buffer.from(text)], { objectMode: false })
}

t.test('a request whose lease is sure asks once before it is answered', async t => {
  const { locks, sessions, id, stored } = await stage()
  await using session = await sessions.resume(NAME, id, forever())
  await session.append(body('second'))
  t.equal(locks.asked, 0)
  await session.flush()
  t.equal(locks.asked, 1)
  t.equal(await stored(), 'first second')
})

t.test('a lost lease is noticed before anything is put in place, and the file is the other server\'s', async t => {
  const { locks, driver, sessions, id, stored, overwrite } = await stage()
  const session = await sessions.resume(NAME, id, forever())
  await session.append(body('second'))
  await overwrite('first of theirs')
  Object.assign(locks, { isFresh: false, isLost: true })
  await t.rejects(session.flush(), { code: 'RANGE_INVALID', detail: 'another server took over this upload' })
  await session[Symbol.asyncDispose]()
  t.equal(await stored(), 'first of theirs')
  t.same(driver.calls.filter(({ operation }) => /^(write|writer\.close|move|delete)$/.test(operation)), [])
})

t.test('a request that stood still asks before it writes on', async t => {
  const { locks, driver, sessions, id, stored } = await stage()
  const session = await sessions.resume(NAME, id, forever())
  Object.assign(locks, { isFresh: false, isLost: true })
  await t.rejects(session.append(body('second')), { code: 'RANGE_INVALID' })
  await session[Symbol.asyncDispose]()
  t.equal(driver.calls.filter(({ operation }) => operation === 'writer.write').length, 0)
  t.equal(await stored(), 'first ')
})

t.test('what fails in storage because another server has the session by now is no error of storage', async t => {
  for (const failing of ['writer.write', 'writer.close'] as const) {
    const { locks, driver, sessions, id, stored } = await stage()
    const session = await sessions.resume(NAME, id, forever())
    driver.before = async ({ operation, path }) => {
      if (operation !== failing) return
      locks.isLost = true
      throw new DriverError('failed', { driver: 's3', path, detail: 'the parts of the upload are not those that were acknowledged' })
    }
    await t.rejects(session.append(body('second')).then(async () => { await session.flush() }), { code: 'RANGE_INVALID' }, failing)
    await session[Symbol.asyncDispose]()
    t.equal(await stored(), 'first ')
  }
})

t.test('a lease that is lost while the bytes are put in place acknowledges nothing', async t => {
  const { locks, driver, sessions, id } = await stage()
  await using session = await sessions.resume(NAME, id, forever())
  await session.append(body('second'))
  driver.before = async ({ operation }) => { if (operation === 'writer.close') locks.isLost = true }
  await t.rejects(session.flush(), { code: 'RANGE_INVALID' })
})

t.test('a lease that is lost while the bytes are read again neither publishes nor removes them', async t => {
  for (const digest of [sha256('first second'), sha256('something else')]) {
    const { locks, driver, sessions, id, stored } = await stage()
    const session = await sessions.resume(NAME, id, forever())
    await session.append(body('second'))
    driver.before = async ({ operation }) => { if (operation === 'writer.close') locks.isLost = true }
    await t.rejects(session.verify(digest), { code: 'RANGE_INVALID' })
    await session[Symbol.asyncDispose]()
    t.equal(await stored(), 'first second')
  }
})

t.test('in doubt storage tells: what nobody else has written to goes on', async t => {
  const { locks, sessions, id, stored } = await stage()
  locks.isSure = false
  await using session = await sessions.resume(NAME, id, forever())
  await session.append(body('second'))
  await session.flush()
  t.equal(await stored(), 'first second')
})

t.test('in doubt storage tells: what another server has written stays', async t => {
  const { locks, sessions, id, stored, overwrite } = await stage()
  Object.assign(locks, { isFresh: false, isSure: false })
  const session = await sessions.resume(NAME, id, forever())
  await overwrite('first of theirs')
  await t.rejects(session.append(body('second')), { code: 'RANGE_INVALID', detail: 'another server wrote to this upload' })
  await session[Symbol.asyncDispose]()
  t.equal(await stored(), 'first of theirs')
})

t.test('in doubt storage tells: what is overwritten before the answer is not acknowledged', async t => {
  const { locks, driver, sessions, id, overwrite } = await stage()
  locks.isSure = false
  await using session = await sessions.resume(NAME, id, forever())
  await session.append(body('second'))
  driver.before = async ({ operation }) => { if (operation === 'write') await overwrite('first of theirs') }
  await t.rejects(session.flush(), { code: 'RANGE_INVALID', detail: 'another server wrote to this upload' })
})
