import { mkdirSync, readdirSync, renameSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { isLocal } from '../../../services/storage/file-calls.js'
import { FilesystemDriver } from '../../../services/storage/filesystem.js'
import { Listings } from '../../../services/storage/listings.js'

/** Waits until the file system's clock has moved on from the last change. */
async function settled (directory: string): Promise<void> {
  while (Date.now() - Math.max(statSync(directory).mtimeMs, statSync(directory).ctimeMs) <= 25) await sleep(5)
}

async function storage (t: Test): Promise<{ driver: FilesystemDriver, directory: string }> {
  const rootdirectory = t.testdir({ dir: { a: {}, b: {} } })
  return { driver: await FilesystemDriver.open({ rootdirectory, fsync: false }), directory: join(rootdirectory, 'dir') }
}

t.test('a directory that did not change is not read again', { skip: !isLocal(process.cwd()) && 'the file system here is not one of this machine' }, async t => {
  const { driver, directory } = await storage(t)
  await settled(directory)
  const first = await driver.list('/dir')
  t.same(first, ['a', 'b'])
  t.equal(await driver.list('/dir'), first, 'the very same array')
  await driver.write('/dir/c', Buffer.from('x'))
  t.same(await driver.list('/dir'), ['a', 'b', 'c'])
  await settled(directory)
  const third = await driver.list('/dir')
  await driver.delete('/dir/a')
  t.same(await driver.list('/dir'), ['b', 'c'])
  t.same(third, ['a', 'b', 'c'], 'who has the old names keeps them')
})

t.test('what other programs do is seen at once, in whatever tick of the clock', async t => {
  const { driver, directory } = await storage(t)
  const names = (): string[] => readdirSync(directory).sort()
  for (let i = 0; i < 400; i++) {
    // Some of them right after a listing, some after a listing that was kept.
    if (i % 40 === 0) await settled(directory)
    await driver.list('/dir')
    const name = `n${String(i % 20).padStart(2, '0')}`
    if (names().includes(name)) rmdirSync(join(directory, name))
    else mkdirSync(join(directory, name))
    t.same(await driver.list('/dir'), names(), `change ${i}`)
  }
})

t.test('a directory that took the place of another is another one', async t => {
  const { driver, directory } = await storage(t)
  await settled(directory)
  await driver.list('/dir')
  renameSync(directory, `${directory}-old`)
  mkdirSync(directory)
  writeFileSync(join(directory, 'other'), '')
  const { atime, mtime } = statSync(`${directory}-old`)
  utimesSync(directory, atime, mtime)
  t.same(await driver.list('/dir'), ['other'])
})

t.test('what was read in the tick of the last change is not kept', async t => {
  const listings = new Listings()
  const status = { ino: 1, mtimeMs: 1000, ctimeMs: 1000 }
  listings.keep('/dir', status, 1020, ['a'])
  t.equal(listings.get('/dir', status), undefined)
  listings.keep('/dir', status, 1021, ['a'])
  t.same(listings.get('/dir', status), ['a'])
  for (const changed of [{ ino: 2 }, { mtimeMs: 1000.001 }, { ctimeMs: 1000.001 }]) t.equal(listings.get('/dir', { ...status, ...changed }), undefined)
  listings.keep('/dir', { ...status, mtimeMs: 5000 }, 5001, ['b'])
  t.equal(listings.get('/dir', status), undefined, 'nor is what was kept before')
})

t.test('what is kept is bounded', async t => {
  const listings = new Listings()
  const status = { ino: 1, mtimeMs: 0, ctimeMs: 0 }
  const names = Array.from({ length: 100_000 }, (_, i) => String(i).padStart(64, '0'))
  for (let i = 0; i < 10; i++) listings.keep(`/${i}`, status, 1000, names)
  t.equal(listings.get('/0', status), undefined)
  t.equal(listings.get('/9', status), names)
})
