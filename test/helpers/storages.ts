import { readdir, readlink } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Test } from 'tap'
import type { ByteRange, StorageDriver } from '../../services/storage/driver.js'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { FaultDriver } from './fault-driver.js'

/** The storages on which uploads are cut off. */
export const STORAGES: Array<[string, (t: Test) => Promise<StorageDriver>]> = [
  ['memory', async () => new MemoryDriver()],
  ['files', async t => await FilesystemDriver.open({ rootdirectory: t.testdir(), fsync: false })]
]

/** Tells when the first bytes of an upload are on their way to storage. */
export function watchWrites (driver: StorageDriver): { driver: StorageDriver, written: Promise<void> } {
  const watched = new FaultDriver(driver)
  const written = new Promise<void>(resolve => {
    watched.before = ({ operation }) => { if (operation === 'writer.write') resolve() }
  })
  return { driver: watched, written }
}

/** Remembers the streams it hands out; `spoil` makes one fail after its first bytes. */
export class StreamDriver extends FaultDriver {
  readonly streams: Readable[] = []
  spoil = false

  override async createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    const stream = await super.createReadStream(path, range)
    this.streams.push(stream)
    if (!this.spoil) return stream
    return Readable.from((async function * () {
      yield Buffer.from('01')
      throw new Error('disk failure')
    })(), { objectMode: false })
  }
}

/** Files below a directory that this process holds open. */
export async function openFiles (directory: string): Promise<string[]> {
  const links = await Promise.all((await readdir('/proc/self/fd')).map(async fd => await readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return links.filter(link => link.startsWith(directory))
}
