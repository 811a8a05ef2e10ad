import { openSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DirectorySyncs } from '../../../services/storage/directory-syncs.js'
import { POOLED } from '../../../services/storage/file-calls.js'
import { FilesystemWriter } from '../../../services/storage/filesystem-writer.js'

const MiB = 1024 * 1024

let files = 0

interface Sync { readonly size: number, readonly done: () => void, readonly fail: (error: Error) => void }

/** A writer whose syncs are over when the test says so. */
async function writer (directory: string, { size = 0, fsync = true } = {}): Promise<{ writer: FilesystemWriter, syncs: Sync[] }> {
  const file = join(directory, `data-${++files}`)
  const fd = openSync(file, 'w+')
  const syncs: Sync[] = []
  const parts = {
    path: '/data',
    file,
    size,
    calls: POOLED,
    sync: async (fd: number) => {
      const { size } = await POOLED.status(fd)
      await new Promise<void>((resolve, reject) => { syncs.push({ size, done: resolve, fail: reject }) })
    },
    ...(fsync ? { syncs: new DirectorySyncs(directory) } : {})
  }
  return { writer: new FilesystemWriter(fd, parts), syncs }
}

async function write (writer: FilesystemWriter, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await writer.write([Buffer.alloc(MiB, i)])
}

async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setImmediate(resolve))
}

t.test('a long file is brought to the disk while it grows, one sync at a time, and wholly at its end', async t => {
  const { writer: long, syncs } = await writer(t.testdir({}))
  await write(long, 7)
  t.equal(syncs.length, 0)
  await write(long, 13)
  await until(() => syncs.length === 1)
  t.ok((syncs[0]?.size ?? 0) >= 8 * MiB)
  syncs[0]?.done()
  const closed = long.close()
  await until(() => syncs.length === 2)
  t.equal(syncs[1]?.size, 20 * MiB, 'the last one is of everything')
  syncs[1]?.done()
  await closed
})

t.test('of several long files one is synced early at a time', async t => {
  const directory = t.testdir({})
  const [first, second] = [await writer(directory), await writer(directory)]
  await write(first.writer, 9)
  await until(() => first.syncs.length === 1)
  await write(second.writer, 9)
  t.equal(second.syncs.length, 0)
  first.syncs[0]?.done()
  await until(() => first.syncs.length === 1)
  await new Promise(resolve => setImmediate(resolve))
  await write(second.writer, 1)
  await until(() => second.syncs.length === 1)
  second.syncs[0]?.done()
  for (const { writer } of [first, second]) await writer.cancel()
})

t.test('an early sync that failed fails the close, although the last one would succeed', async t => {
  const { writer: long, syncs } = await writer(t.testdir({}))
  await write(long, 9)
  await until(() => syncs.length === 1)
  syncs[0]?.fail(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))
  await t.rejects(long.close(), { message: /EIO|failed/ })
})

t.test('a file is not closed, nor removed, while an early sync is under way', async t => {
  const { writer: long, syncs } = await writer(t.testdir({}))
  await write(long, 9)
  await until(() => syncs.length === 1)
  let isOver = false
  const cancelled = long.cancel().then(() => { isOver = true })
  await new Promise(resolve => setImmediate(resolve))
  t.equal(isOver, false)
  syncs[0]?.done()
  await cancelled
  t.equal(isOver, true)
})

t.test('what an earlier writer left counts as on the disk, and without fsync nothing is synced', async t => {
  for (const options of [{ size: 100 * MiB }, { fsync: false }]) {
    const { writer: long, syncs } = await writer(t.testdir({}), options)
    await write(long, options.size === undefined ? 20 : 5)
    await long.cancel()
    t.equal(syncs.length, 0)
  }
})
