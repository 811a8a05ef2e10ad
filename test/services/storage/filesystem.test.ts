import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { ConfigError } from '../../../services/errors/config-error.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { Settling } from '../../../services/storage/settling.js'
import { guarded } from '../../../services/storage/guarded.js'
import { rejects } from '../../helpers/rejects.js'
import { driverSuite } from '../../suites/driver.js'

t.test('filesystem', async t => {
  driverSuite(t, async t => await FilesystemDriver.open({ rootdirectory: t.testdir(), fsync: false }))
})

t.test('filesystem with changes on a thread of their own', { skip: process.platform === 'linux' ? false : 'only on file systems that are known to be local' }, async t => {
  driverSuite(t, async t => {
    const rootdirectory = t.testdir()
    const driver = await FilesystemDriver.open({ rootdirectory, fsync: false, busy: 1 })
    t.teardown(async () => { await driver.close() })
    for (let i = 0; !driver.isBusy; i++) {
      await driver.write('/first', Buffer.from(String(i)))
      await new Promise(resolve => setImmediate(resolve))
    }
    await driver.delete('/first')
    return driver
  })
})

t.test('filesystem behind the guard, with fsync', async t => {
  driverSuite(t, async t => guarded(await FilesystemDriver.open({ rootdirectory: t.testdir() })))
})

/** All files below a directory, hidden ones too. */
function files (directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name).slice(directory.length))
    .sort()
}

t.test('a path is the place on disk below the root directory', async t => {
  const rootdirectory = t.testdir()
  const driver = await FilesystemDriver.open({ rootdirectory })
  await driver.write('/docker/registry/v2/blobs/sha256/ab/abcd/data', Buffer.from('content'))
  t.same(files(rootdirectory), ['/docker/registry/v2/blobs/sha256/ab/abcd/data'])
  t.equal(readFileSync(join(rootdirectory, 'docker/registry/v2/blobs/sha256/ab/abcd/data'), 'utf8'), 'content')
  const writer = await driver.openWriter('/docker/upload/data')
  await writer.write([Buffer.from('part')])
  t.equal(readFileSync(join(rootdirectory, 'docker/upload/data'), 'utf8'), 'part', 'a growing file lies in its place too')
  await writer.close()
})

t.test('a root directory that is missing is made, also several levels of it', async t => {
  const rootdirectory = join(t.testdir(), 'some', 'where')
  const driver = await FilesystemDriver.open({ rootdirectory })
  t.ok(statSync(rootdirectory).isDirectory())
  t.same(await driver.list('/'), [])
})

t.test('what one driver wrote another one on the same directory reads', async t => {
  const rootdirectory = t.testdir()
  const first = await FilesystemDriver.open({ rootdirectory })
  await first.write('/a/b', Buffer.from('content'))
  const writer = await first.openWriter('/upload')
  await writer.write([Buffer.from('begun')])
  await writer.close()
  await first.close()
  const second = await FilesystemDriver.open({ rootdirectory })
  t.equal(String(await second.read('/a/b')), 'content')
  const again = await second.openWriter('/upload', { append: true })
  t.equal(again.size, 5)
  await again.write([Buffer.from(', ended')])
  await again.close()
  t.equal(readFileSync(join(rootdirectory, 'upload'), 'utf8'), 'begun, ended')
})

t.test('what a writer left without close is there for the next one', async t => {
  const rootdirectory = t.testdir()
  const driver = await FilesystemDriver.open({ rootdirectory })
  const lost = await driver.openWriter('/upload')
  t.teardown(async () => { await lost.close() })
  await lost.write([Buffer.from('kept')])
  const next = await (await FilesystemDriver.open({ rootdirectory })).openWriter('/upload', { append: true })
  t.teardown(async () => { await next.close() })
  t.equal(next.size, 4)
})

for (const fsync of [true, false]) {
  t.test(`no temporary file is left behind with fsync: ${fsync}`, async t => {
    const rootdirectory = t.testdir()
    const driver = await FilesystemDriver.open({ rootdirectory, fsync })
    await Promise.all([1, 2, 3, 4].map(i => driver.write('/dir/a', Buffer.alloc(i * 10_000))))
    await driver.write('/dir/b', Buffer.from('x'), { durable: false })
    await driver.move('/dir/b', '/dir/c/d')
    t.same(files(rootdirectory), ['/dir/a', '/dir/c/d'])
  })

  t.test(`no temporary file is left when a write fails with fsync: ${fsync}`, async t => {
    const rootdirectory = t.testdir({ dir: { inside: 'kept' }, file: 'kept' })
    const driver = await FilesystemDriver.open({ rootdirectory, fsync })
    const error = await rejects(t, driver.write('/dir', Buffer.from('x')), 'failed', '/dir', 'filesystem')
    t.match(error?.cause, { code: 'EISDIR' })
    await rejects(t, driver.write('/file/below', Buffer.from('x')), 'path-not-found', '/file/below', 'filesystem')
    t.same(files(rootdirectory), ['/dir/inside', '/file'])
  })
}

for (const fsync of [true, false]) {
  t.test(`a file that is all of its directory moves with it, and a spare file is made another, with fsync: ${fsync}`, async t => {
    const rootdirectory = t.testdir()
    const driver = await FilesystemDriver.open({ rootdirectory, fsync })
    const inode = (path: string): number => statSync(join(rootdirectory, path)).ino
    await driver.write('/uploads/id/startedat', Buffer.from('now'))
    const writer = await driver.openWriter('/uploads/id/data')
    await writer.write([Buffer.from('content')])
    await writer.close({ moving: true })
    const [directory, spare] = [inode('uploads/id'), inode('uploads/id/startedat')]
    await driver.write('/links/one/link', Buffer.from('sha256:…'), { recycle: '/uploads/id/startedat' })
    await driver.move('/uploads/id/data', '/blobs/ab/data', { last: true })
    t.same(files(rootdirectory), ['/blobs/ab/data', '/links/one/link'])
    t.equal(readFileSync(join(rootdirectory, 'links/one/link'), 'utf8'), 'sha256:…')
    t.equal(inode('blobs/ab'), directory)
    t.equal(inode('links/one/link'), spare)
  })
}

t.test('a write that is closed at once is in the file, and not in the one that is opened next', async t => {
  const rootdirectory = t.testdir({ other: 'other' })
  const driver = await FilesystemDriver.open({ rootdirectory })
  const writer = await driver.openWriter('/a')
  const content = Buffer.alloc(4 * 1024 * 1024, 'x')
  const writing = writer.write([content])
  await writer.close()
  const next = await driver.openWriter('/other', { append: true })
  await writing
  await next.close()
  t.ok(content.equals(readFileSync(join(rootdirectory, 'a'))))
  t.equal(readFileSync(join(rootdirectory, 'other'), 'utf8'), 'other')
})

t.test('settling tells what could not be made durable', async t => {
  const settling = new Settling()
  settling.add(Promise.resolve())
  settling.add(Promise.reject(new Error('the disk is gone')))
  await t.rejects(settling.end(), { message: 'the disk is gone' })
})

t.test('temporary files that a crash left are not listed', async t => {
  const driver = await FilesystemDriver.open({ rootdirectory: t.testdir({ dir: { '.tmp-0b7a': 'half', a: 'whole' } }) })
  t.same(await driver.list('/dir'), ['a'])
})

t.test('an append overwrites what a failed write left behind the position, and does not count it', async t => {
  const rootdirectory = t.testdir({ a: 'good' })
  const driver = await FilesystemDriver.open({ rootdirectory })
  const writer = await driver.openWriter('/a', { append: true })
  writeFileSync(join(rootdirectory, 'a'), 'good?')
  await writer.write([Buffer.from('!')])
  t.equal(writer.size, 5)
  await writer.close()
  t.equal(readFileSync(join(rootdirectory, 'a'), 'utf8'), 'good!')
})

t.test('an error of the disk is the cause, and its code is in the message', async t => {
  const driver = await FilesystemDriver.open({ rootdirectory: t.testdir({ file: 'x' }) })
  const missing = await rejects(t, driver.read('/a/b'), 'path-not-found', '/a/b', 'filesystem')
  t.match(missing?.cause, { code: 'ENOENT', syscall: 'open' })
  t.equal(missing?.message, 'filesystem: path not found: /a/b (ENOENT)')
  const below = await rejects(t, driver.stat('/file/b'), 'path-not-found', '/file/b', 'filesystem')
  t.match(below?.cause, { code: 'ENOTDIR' })
  const long = `/${'n'.repeat(300)}`
  t.match((await rejects(t, driver.write(long, Buffer.from('x')), 'failed', long, 'filesystem'))?.cause, { code: 'ENAMETOOLONG' })
})

t.test('a writer that fails says where, with the cause', async t => {
  const driver = await FilesystemDriver.open({ rootdirectory: t.testdir() })
  const writer = await driver.openWriter('/a')
  await writer.close()
  t.match((await rejects(t, writer.write([Buffer.from('x')]), 'failed', '/a', 'filesystem'))?.cause, { code: 'EBADF' })
  t.equal(writer.size, 0, 'nothing is counted that did not reach the file')
  await driver.delete('/a')
  await rejects(t, writer.cancel(), 'path-not-found', '/a', 'filesystem')
})

// A path below a file, because root may write to any directory.
for (const below of ['file', 'file/below', 'file/below/deep']) {
  t.test(`a root directory that cannot be made is one line that names the key: ${below}`, async t => {
    const rootdirectory = join(t.testdir({ file: 'x' }), below)
    const error = await FilesystemDriver.open({ rootdirectory }).then(() => undefined, (error: unknown) => error)
    t.ok(error instanceof ConfigError)
    const { message, cause } = error as ConfigError
    t.match(message, /^storage\.filesystem\.rootdirectory: .*(?:EEXIST|ENOTDIR)\)$/)
    t.notMatch(message, '\n')
    t.ok(message.includes(rootdirectory))
    t.match(cause, { code: /^(?:EEXIST|ENOTDIR)$/ })
  })
}

const MiB = 1024 * 1024

/** Runs `body` on a file system of one MiB. It is gone before the test's directory is removed, so no teardown. */
async function onSmallDisk (t: Test, body: (directory: string) => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) return skip(t, 'mounting a small file system needs root')
  const directory = t.testdir()
  const { error, status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { encoding: 'utf8' })
  if (status !== 0) return skip(t, `cannot mount: ${error?.message ?? stderr.trim()}`)
  try {
    await body(directory)
  } finally {
    t.equal(spawnSync('umount', [directory]).status, 0, 'unmounted')
  }
}

function skip (t: Test, reason: string): void {
  t.pass(`skipped: ${reason}`, { skip: reason })
}

t.test('a write to a full disk is failed with ENOSPC, leaves no file, and keeps what was there', async t => {
  await onSmallDisk(t, async rootdirectory => {
    const driver = await FilesystemDriver.open({ rootdirectory })
    await driver.write('/a', Buffer.from('old'))
    for (const path of ['/a', '/dir/b']) {
      const error = await rejects(t, driver.write(path, Buffer.alloc(3 * MiB, 'x')), 'failed', path, 'filesystem')
      t.match(error?.cause, { code: 'ENOSPC' })
      t.match(error?.message, /ENOSPC/)
    }
    t.same(files(rootdirectory), ['/a'])
    t.equal(String(await driver.read('/a')), 'old')
    await driver.write('/c', Buffer.alloc(MiB / 2))
    t.equal((await driver.stat('/c')).size, MiB / 2, 'the space is free again')
  })
})

t.test('a writer on a full disk counts exactly the bytes that reached the file, and goes on when there is space', async t => {
  await onSmallDisk(t, async rootdirectory => {
    const driver = await FilesystemDriver.open({ rootdirectory })
    await driver.write('/ballast', Buffer.alloc(MiB / 2))
    const writer = await driver.openWriter('/upload')
    const chunks = Array.from({ length: 2000 }, (_, i) => Buffer.alloc(1000, String(i % 10)))
    const content = Buffer.concat(chunks)
    t.match((await rejects(t, writer.write(chunks), 'failed', '/upload', 'filesystem'))?.cause, { code: 'ENOSPC' })
    const { size } = writer
    t.ok(size > 0 && size < MiB, `${size} bytes reached the file`)
    t.equal(statSync(join(rootdirectory, 'upload')).size, size)
    await driver.delete('/ballast')
    await writer.write([content.subarray(size, size + 300_000)])
    await writer.close()
    t.ok(content.subarray(0, size + 300_000).equals(await driver.read('/upload')))
  })
})
