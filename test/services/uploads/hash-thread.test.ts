import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import { parseRepositoryName } from '../../../services/reference/reference.js'
import type { Algorithm, Digest } from '../../../services/reference/reference.js'
import { MemoryDriver } from '../../../services/storage/memory.js'
import { RunningDigests } from '../../../services/uploads/digests.js'
import { HashThread } from '../../../services/uploads/hash-thread.js'
import { UploadSessions } from '../../../services/uploads/sessions.js'
import { FaultDriver } from '../../helpers/fault-driver.js'
import { sha256, sha512 } from '../../helpers/images.js'

const KiB = 1024
const NAME = parseRepositoryName('team/app')
const LONG = Buffer.alloc(2500 * KiB, 'long and longer ')

const never = (): AbortSignal => new AbortController().signal

/** A module that carries out so many orders as the real one does, and then does `otherwise`. */
function entry (orders: number, otherwise: string): URL {
  const worker = new URL('../../../services/uploads/hash-worker.js', import.meta.url)
  return new URL(`data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads'
    let left = ${orders}
    const on = parentPort.on.bind(parentPort)
    parentPort.on = (event, listener) => on(event, order => { if (left-- > 0) listener(order); else { ${otherwise} } })
    await import(${JSON.stringify(worker.href)})
  `)}`)
}

function threadOf (t: Test, module?: URL): HashThread {
  const thread = new HashThread(module)
  t.teardown(async () => { await thread.close() })
  return thread
}

function inChunks (bytes: Buffer): Readable {
  return Readable.from(Array.from({ length: Math.ceil(bytes.length / (64 * KiB)) }, (_, i) => bytes.subarray(i * 64 * KiB, (i + 1) * 64 * KiB)))
}

/** Hashes it as a session does. Returns what would have been written. */
async function feed (running: RunningDigests, bytes: Buffer, size: number): Promise<Buffer> {
  const written: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) {
    const batch = running.take([bytes.subarray(at, at + size)])
    const room = batch.hash()
    written.push(...batch.chunks.map(chunk => Buffer.from(chunk)))
    batch.written()
    await room
  }
  running.settle()
  return Buffer.concat(written)
}

async function digestsOf (running: RunningDigests): Promise<Digest[] | undefined> {
  const current = await running.current()
  return current && [...current.digests.values()]
}

t.test('an upload has the same digests however it arrives and wherever it is hashed', async t => {
  const thread = threadOf(t)
  const algorithms: ReadonlyArray<readonly Algorithm[]> = [[], ['sha512']]
  for (const length of [0, 1, 256 * KiB - 1, 256 * KiB, 256 * KiB + 1, 2500 * KiB]) {
    const bytes = LONG.subarray(0, length)
    for (const size of [1000, 64 * KiB, 700 * KiB, 2 ** 22]) {
      for (const more of algorithms) {
        const running = new RunningDigests(more, thread)
        const written = await feed(running, bytes, size)
        t.ok(written.equals(bytes), `${length} bytes by ${size} are written as they came`)
        t.equal(running.offset, length)
        t.same(await digestsOf(running), [sha256(bytes), ...more.map(() => sha512(bytes))], `${length} bytes by ${size}, ${more.length} more`)
      }
    }
  }
})

t.test('hashing goes on after the digests were asked for, in the thread too', async t => {
  const thread = threadOf(t)
  for (const first of [100, 600 * KiB]) {
    const running = new RunningDigests([], thread)
    await feed(running, LONG.subarray(0, first), 64 * KiB)
    t.same(await digestsOf(running), [sha256(LONG.subarray(0, first))])
    await feed(running, LONG.subarray(first), 64 * KiB)
    t.same(await digestsOf(running), [sha256(LONG)])
  }
})

t.test('uploads at once do not mix, also when there is no more room for all of them', async t => {
  const thread = threadOf(t)
  const uploads = Array.from({ length: 40 }, (_, i) => ({ running: new RunningDigests([], thread), bytes: Buffer.concat([Buffer.from([i]), LONG]) }))
  await Promise.all(uploads.map(async ({ running, bytes }) => { await feed(running, bytes, 300 * KiB) }))
  for (const { running, bytes } of uploads) t.same(await digestsOf(running), [sha256(bytes)])
})

t.test('memory is not used again before it is both hashed and written', async t => {
  const thread = threadOf(t)
  const running = new RunningDigests([], thread)
  await feed(running, LONG, 500 * KiB)
  const batches = Array.from({ length: 30 }, (_, i) => running.take([Buffer.alloc(300 * KiB, i)]))
  await Promise.all(batches.map(batch => batch.hash()))
  await running.current()
  t.same(batches.map(({ chunks: [chunk] }) => chunk?.every(byte => byte === chunk[0]) === true && chunk[0]), batches.map((_, i) => i))
  for (const batch of batches) batch.written()
  const next = running.take([Buffer.alloc(300 * KiB, 99)])
  t.ok(batches.some(({ chunks: [chunk] }) => chunk?.[0] === 99), 'then it is')
  next.written()
})

t.test('chunks are given up when they are copied or written, and not while they are held back', async t => {
  const thread = threadOf(t)
  const running = new RunningDigests([], thread)
  const given: Buffer[] = []
  const take = (chunk: Buffer): void => { running.take([chunk], chunks => { given.push(...chunks) }).written() }
  const [short, long] = [Buffer.alloc(10), Buffer.alloc(600 * KiB)]
  take(short)
  t.same(given, [])
  take(long)
  t.equal(given[0], long)
  t.same(await digestsOf(running), [sha256(Buffer.concat([short, long]))])
})

t.test('a short upload needs no thread', async t => {
  const running = new RunningDigests([], threadOf(t, new URL('data:text/javascript,process.exit()')))
  await feed(running, LONG.subarray(0, 256 * KiB), 1000)
  t.same(await digestsOf(running), [sha256(LONG.subarray(0, 256 * KiB))])
})

t.test('bytes that are held back for very many uploads are hashed at once', async t => {
  const thread = threadOf(t)
  const uploads = Array.from({ length: 100 }, () => new RunningDigests([], thread))
  for (const running of uploads) await running.take([LONG.subarray(0, 200 * KiB)]).hash()
  const last = uploads.at(-1) as RunningDigests
  await feed(last, LONG.subarray(200 * KiB), 300 * KiB)
  t.same(await digestsOf(last), [sha256(LONG)])
})

for (const [what, otherwise] of [['throws', 'throw new Error("broken")'], ['ends', 'process.exit(0)'], ['runs out of memory', 'const all = []; for (;;) all.push({ all: [] })']] as const) {
  t.test(`when a thread ${what} its hash is lost, and never wrong`, async t => {
    const thread = threadOf(t, entry(5, otherwise))
    const running = new RunningDigests([], thread)
    t.ok((await feed(running, LONG, 64 * KiB)).equals(LONG), 'everything is written')
    t.equal(await running.current(), undefined)
    t.equal(running.offset, undefined)
  })

  t.test(`a session whose thread ${what} reads the upload again`, async t => {
    const driver = new FaultDriver(new MemoryDriver())
    const sessions = new UploadSessions({ driver, hashing: threadOf(t, entry(5, otherwise)) })
    const { id } = await started(sessions)
    {
      await using session = await sessions.resume(NAME, id, never())
      await session.append(inChunks(LONG))
      await session.flush()
    }
    await using session = await sessions.resume(NAME, id, never())
    t.equal((await session.verify(sha256(LONG))).size, LONG.length)
    t.equal(driver.calls.filter(({ operation }) => operation === 'createReadStream').length, 1)
  })

  t.test(`a session whose thread ${what} still refuses what it should not have got`, async t => {
    const sessions = new UploadSessions({ driver: new MemoryDriver(), hashing: threadOf(t, entry(5, otherwise)) })
    const { id } = await started(sessions)
    await using session = await sessions.resume(NAME, id, never())
    await session.append(inChunks(LONG))
    await t.rejects(session.verify(sha256('something else')), { code: 'DIGEST_INVALID' })
  })
}

t.test('a thread that has died is started again, and at the third time left alone', async t => {
  const thread = threadOf(t, entry(0, 'process.exit(1)'))
  for (let death = 0; death < 3; death++) {
    const running = new RunningDigests([], thread)
    await feed(running, LONG, 64 * KiB)
    t.equal(await running.current(), undefined)
  }
  const running = new RunningDigests([], thread)
  await feed(running, LONG, 64 * KiB)
  t.same(await digestsOf(running), [sha256(LONG)], 'on the main thread')
})

t.test('after close the thread is gone: its uploads are lost, the next ones are hashed on the main thread', async t => {
  const thread = new HashThread()
  const before = new RunningDigests([], thread)
  await feed(before, LONG, 64 * KiB)
  await thread.close()
  await thread.close()
  t.equal(await before.current(), undefined)
  const after = new RunningDigests([], thread)
  await feed(after, LONG, 64 * KiB)
  t.same(await digestsOf(after), [sha256(LONG)])
})

t.test('close has nothing to do when there was no long upload', async () => {
  await new HashThread().close()
})

t.test('a session goes on where another request left its hash, in the thread', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const sessions = new UploadSessions({ driver, hashing: threadOf(t) })
  const { id } = await started(sessions, true)
  for (const part of [LONG.subarray(0, 900 * KiB), LONG.subarray(900 * KiB)]) {
    await using session = await sessions.resume(NAME, id, never())
    await session.append(inChunks(part))
    await session.flush()
  }
  await using session = await sessions.resume(NAME, id, never())
  t.equal((await session.verify(sha512(LONG))).canonical, sha256(LONG))
  t.equal(driver.calls.filter(({ operation }) => operation === 'createReadStream').length, 0)
})

t.test('a body that is taken back after the thread had it leaves the session as good as before', async t => {
  const sessions = new UploadSessions({ driver: new MemoryDriver(), hashing: threadOf(t) })
  const { id } = await started(sessions)
  {
    await using session = await sessions.resume(NAME, id, never())
    await t.rejects(session.append(inChunks(LONG), { length: 4 }), { code: 'SIZE_INVALID' })
  }
  await using session = await sessions.resume(NAME, id, never())
  await session.append(inChunks(LONG))
  t.equal((await session.verify(sha256(LONG))).size, LONG.length)
})

async function started (sessions: UploadSessions, sha512 = false): Promise<{ id: string }> {
  await using session = await sessions.start(NAME, { sha512 })
  return { id: session.id }
}
