import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { ByteRange, StorageDriver } from '../../services/storage/driver.js'
import { rejects } from '../helpers/rejects.js'
import { changes, separateNames, sharedNames, writers } from './driver-changes.js'
import type { Make } from './driver-changes.js'

export interface DriverSuiteOptions {
  /** Directories are only parts of names, so that one name can be both a file and a directory. */
  readonly flat?: boolean
  /** Only what depends on how files are moved and added to, where the rest has been tried with the same driver. */
  readonly movesOnly?: boolean
  /** False for a store of the test's that does not look at signatures. */
  readonly signatures?: boolean
}

/** The contract of a StorageDriver. `make` gives an empty one that is gone with the test. */
export function driverSuite (t: Test, make: Make, { flat = false, movesOnly = false, signatures = true }: DriverSuiteOptions = {}): void {
  t.test('writers', async t => { writers(t, make) })
  t.test('move and delete', async t => { changes(t, make, flat) })
  if (movesOnly) return
  t.test('content', async t => { contents(t, make) })
  t.test('streams', async t => { streams(t, make) })
  t.test('names', async t => { names(t, make, signatures) })
  t.test('what is missing', async t => { missing(t, make) })
  t.test('files and directories of one name', async t => { if (flat) sharedNames(t, make); else separateNames(t, make) })
}

function contents (t: Test, make: Make): void {
  t.test('what is written is read, directories are made on the way', async t => {
    const driver = await make(t)
    const content = Buffer.from([0, 1, 2, 253, 254, 255])
    await driver.write('/a/b-c/d_e/f.g', content)
    t.same(await driver.read('/a/b-c/d_e/f.g'), content)
  })

  t.test('an empty content is content', async t => {
    const driver = await make(t)
    await driver.write('/empty', Buffer.alloc(0))
    t.equal((await driver.read('/empty')).length, 0)
    t.equal((await text(driver, '/empty')), '')
    t.equal((await driver.stat('/empty')).size, 0)
  })

  t.test('a second write replaces all of the first, also when it is shorter', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('a long first content'))
    await driver.write('/a', Buffer.from('short'), { durable: false })
    t.equal(String(await driver.read('/a')), 'short')
    t.equal((await driver.stat('/a')).size, 5)
  })

  t.test('changing the buffer after a write does not change what is stored', async t => {
    const driver = await make(t)
    const content = Buffer.from('before')
    await driver.write('/a', content)
    content.fill('x')
    t.equal(String(await driver.read('/a')), 'before')
  })

  t.test('a read is refused as too large when the content is longer than maxBytes, and only then', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('12345'))
    t.equal(String(await driver.read('/a', { maxBytes: 5 })), '12345')
    t.equal(String(await driver.read('/a', { maxBytes: 6 })), '12345')
    await rejects(t, driver.read('/a', { maxBytes: 4 }), 'too-large', '/a', driver.name)
    await rejects(t, driver.read('/b', { maxBytes: 4 }), 'path-not-found', '/b', driver.name)
  })

  t.test('a reader that has begun gets the old content while a writer replaces it', async t => {
    const driver = await make(t)
    const old = Buffer.alloc(3 * 1024 * 1024, 'o')
    await driver.write('/a', old)
    const stream = await driver.createReadStream('/a')
    await once(stream, 'readable')
    await driver.write('/a', Buffer.alloc(1024, 'n'))
    t.ok(old.equals(await buffer(stream)), 'all old')
    t.same(await driver.read('/a'), Buffer.alloc(1024, 'n'), 'then all new')
  })

  t.test('a reader never sees a mix while writers replace the content again and again', async t => {
    const driver = await make(t)
    const contents = ['a', 'b', 'c'].map((fill, i) => Buffer.alloc(100_000 + i * 1000, fill))
    await driver.write('/a', contents[0] as Buffer)
    let writing = true
    const writer = (async () => {
      for (let i = 0; i < 30; i++) await driver.write('/a', contents[i % 3] as Buffer, { durable: false })
    })().finally(() => { writing = false })
    let mixed = 0
    do {
      const read = await driver.read('/a', { maxBytes: 1_000_000 })
      if (!contents.some(content => content.equals(read))) mixed++
    } while (writing)
    await writer
    t.equal(mixed, 0)
  })

  t.test('fifty writes of one path at once leave one of them, whole', async t => {
    const driver = await make(t)
    const contents = Array.from({ length: 50 }, (_, i) => Buffer.alloc(10_000 + i, String.fromCharCode(65 + i)))
    await Promise.all(contents.map(content => driver.write('/new/dir/a', content)))
    const read = await driver.read('/new/dir/a')
    t.ok(contents.some(content => content.equals(read)))
    t.same(await driver.list('/new/dir'), ['a'])
  })
}

function streams (t: Test, make: Make): void {
  t.test('a stream without a range gives everything', async t => {
    const driver = await make(t)
    const content = Buffer.alloc(1_000_003, 'abcdefg')
    await driver.write('/a', content)
    t.ok(content.equals(await buffer(await driver.createReadStream('/a'))))
  })

  t.test('a range gives the bytes from start to end, both included, also across the pieces it was written in', async t => {
    const driver = await make(t)
    const writer = await driver.openWriter('/a')
    await writer.write([Buffer.from('0123')])
    await writer.write([Buffer.from('456'), Buffer.from('789')])
    await writer.close()
    const table: Array<[ByteRange, string]> = [
      [{ start: 0, end: 9 }, '0123456789'], [{ start: 0, end: 0 }, '0'], [{ start: 9, end: 9 }, '9'],
      [{ start: 2, end: 5 }, '2345'], [{ start: 3, end: 4 }, '34'], [{ start: 4, end: 6 }, '456'], [{ start: 1, end: 8 }, '12345678']
    ]
    for (const [range, expected] of table) t.equal(await text(driver, '/a', range), expected, `${range.start}-${range.end}`)
  })

  t.test('a range that goes past the end stops at the end', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('0123456789'))
    t.equal(await text(driver, '/a', { start: 7, end: 1000 }), '789')
    t.equal(await text(driver, '/a', { start: 10, end: 1000 }), '')
  })

  t.test('opening a stream of a missing path throws before there is a stream', async t => {
    const driver = await make(t)
    await rejects(t, driver.createReadStream('/a/b'), 'path-not-found', '/a/b', driver.name)
    await rejects(t, driver.createReadStream('/a/b', { start: 0, end: 1 }), 'path-not-found', '/a/b', driver.name)
  })

  t.test('a directory is neither read nor streamed', async t => {
    const driver = await make(t)
    await driver.write('/a/b', Buffer.from('x'))
    await rejects(t, driver.read('/a'), 'failed', '/a', driver.name)
    await rejects(t, driver.read('/a', { maxBytes: 1_000_000 }), 'failed', '/a', driver.name)
    await rejects(t, driver.createReadStream('/a'), 'failed', '/a', driver.name)
  })

  t.test('a stream that was begun gives everything although the path is deleted', async t => {
    const driver = await make(t)
    const content = Buffer.alloc(2_000_000, 'x')
    await driver.write('/a', content)
    const stream = await driver.createReadStream('/a')
    await driver.delete('/a')
    t.ok(content.equals(await buffer(stream)))
  })

  t.test('a stream that is destroyed half-way closes without an error', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.alloc(2_000_000, 'x'))
    const stream: Readable = await driver.createReadStream('/a')
    await once(stream, 'readable')
    stream.destroy()
    await once(stream, 'close')
    t.equal(stream.errored, null)
    t.equal((await driver.read('/a')).length, 2_000_000)
  })
}

function names (t: Test, make: Make, signatures: boolean): void {
  t.test('stat tells a file, its size and when it changed', async t => {
    const driver = await make(t)
    const before = Date.now()
    await driver.write('/dir/a', Buffer.from('12345'))
    const { modified, version: _version, ...rest } = await driver.stat('/dir/a')
    t.same(rest, { path: '/dir/a', size: 5, isDirectory: false })
    // Clocks of file systems are coarser than Date.now().
    t.ok(Math.abs(modified.getTime() - before) < 60_000, modified.toISOString())
  })

  t.test('stat tells a directory, whose size is 0', async t => {
    const driver = await make(t)
    await driver.write('/dir/sub/a', Buffer.from('12345'))
    for (const path of ['/dir', '/dir/sub']) {
      const { size, isDirectory, path: found, modified } = await driver.stat(path)
      t.same({ size, isDirectory, path: found }, { size: 0, isDirectory: true, path })
      t.type(modified, Date)
    }
  })

  t.test('the root exists from the beginning', async t => {
    const driver = await make(t)
    t.match(await driver.stat('/'), { path: '/', isDirectory: true, size: 0 })
    t.same(await driver.list('/'), [])
    await driver.write('/b', Buffer.from(''))
    await driver.write('/a/x', Buffer.from(''))
    t.same(await driver.list('/'), ['a', 'b'])
  })

  t.test('list gives the names of the direct children in byte order', async t => {
    const driver = await make(t)
    const expected = ['-x', '1', '10', '2', 'A', 'B', '_', 'a', 'a-b', 'a.b', 'aa', 'b']
    for (const name of expected.toReversed()) await driver.write(name === 'b' ? '/dir/b/deep/er' : `/dir/${name}`, Buffer.from('x'))
    await driver.write('/dirb/c', Buffer.from('x'))
    t.same(await driver.list('/dir'), expected)
    t.same(await driver.list('/dir/b'), ['deep'])
  })

  t.test('a URL of its own serves the content, and a driver without one has none', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('content'))
    const [get, head] = [await driver.redirectUrl('/a', 'GET'), await driver.redirectUrl('/a', 'HEAD')]
    if (driver.redirects === false || get === null || head === null) return t.same([get, head], [null, null])
    t.equal(await (await fetch(get)).text(), 'content')
    const { status, headers } = await fetch(head, { method: 'HEAD' })
    t.same([status, headers.get('content-length')], [200, '7'])
    if (signatures) t.equal((await fetch(get.replace(/.$/, last => last === '0' ? '1' : '0'))).status, 403, 'and nothing else')
  })
}

function missing (t: Test, make: Make): void {
  const operations: Record<string, (driver: StorageDriver, path: string) => Promise<unknown>> = {
    read: (driver, path) => driver.read(path),
    createReadStream: (driver, path) => driver.createReadStream(path),
    'openWriter to append': (driver, path) => driver.openWriter(path, { append: true }),
    stat: (driver, path) => driver.stat(path),
    list: (driver, path) => driver.list(path),
    move: (driver, path) => driver.move(path, '/elsewhere'),
    delete: (driver, path) => driver.delete(path)
  }
  for (const [name, operation] of Object.entries(operations)) {
    t.test(`${name} of a missing path is path-not-found`, async t => {
      const driver = await make(t)
      await driver.write('/there/a', Buffer.from('x'))
      for (const path of ['/missing', '/there/b', '/gone/a/b', '/ther']) await rejects(t, operation(driver, path), 'path-not-found', path, driver.name)
    })

    t.test(`${name} of a path below a file is path-not-found`, async t => {
      const driver = await make(t)
      await driver.write('/file', Buffer.from('x'))
      for (const path of ['/file/a', '/file/a/b']) await rejects(t, operation(driver, path), 'path-not-found', path, driver.name)
      t.equal(String(await driver.read('/file')), 'x')
    })
  }

  t.test('a file has no children to list', async t => {
    const driver = await make(t)
    await driver.write('/file', Buffer.from('x'))
    await rejects(t, driver.list('/file'), 'path-not-found', '/file', driver.name)
  })
}

async function text (driver: StorageDriver, path: string, range?: ByteRange): Promise<string> {
  return String(await buffer(await driver.createReadStream(path, range)))
}
