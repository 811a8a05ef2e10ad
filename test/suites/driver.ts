import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { DriverError } from '../../services/errors/driver-error.js'
import type { DriverErrorKind } from '../../services/errors/driver-error.js'
import type { ByteRange, StorageDriver } from '../../services/storage/driver.js'
import { Settling } from '../../services/storage/settling.js'

/** Checks what an operation of a driver throws, and returns it. */
export async function rejects (t: Test, operation: Promise<unknown>, kind: DriverErrorKind, path: string, driver?: string): Promise<DriverError | undefined> {
  const error = await operation.then(() => undefined, (error: unknown) => error)
  if (!DriverError.is(error)) {
    t.fail(`expected a DriverError ${kind} for ${path}`, { found: error })
    return undefined
  }
  t.equal(error.kind, kind, `${path}: kind`)
  t.equal(error.path, path, `${path}: path`)
  if (driver !== undefined) t.equal(error.driver, driver, `${path}: driver`)
  return error
}

export interface DriverSuiteOptions {
  /** Directories are only parts of names, so that one name can be both a file and a directory. */
  readonly flat?: boolean
  /** Only what depends on how files are moved and added to, where the rest has been tried with the same driver. */
  readonly movesOnly?: boolean
  /** False for a store of the test's that does not look at signatures. */
  readonly signatures?: boolean
}

/** The contract of a StorageDriver. `make` gives an empty one that is gone with the test. */
export function driverSuite (t: Test, make: (t: Test) => Promise<StorageDriver>, { flat = false, movesOnly = false, signatures = true }: DriverSuiteOptions = {}): void {
  t.test('writers', async t => { writers(t, make) })
  t.test('move and delete', async t => { changes(t, make, flat) })
  if (movesOnly) return
  t.test('content', async t => { contents(t, make) })
  t.test('streams', async t => { streams(t, make) })
  t.test('names', async t => { names(t, make, signatures) })
  t.test('what is missing', async t => { missing(t, make) })
  t.test('files and directories of one name', async t => { if (flat) sharedNames(t, make); else separateNames(t, make) })
}

type Make = (t: Test) => Promise<StorageDriver>

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

function writers (t: Test, make: Make): void {
  t.test('a writer makes an empty file with its directories and counts what it appends', async t => {
    const driver = await make(t)
    const writer = await driver.openWriter('/a/b/c')
    t.equal(writer.size, 0)
    t.equal((await driver.stat('/a/b/c')).size, 0)
    await writer.write([Buffer.from('one')])
    t.equal(writer.size, 3)
    await writer.write([Buffer.from('-two'), Buffer.from('-three')])
    t.equal(writer.size, 13)
    await writer.close()
    t.equal(String(await driver.read('/a/b/c')), 'one-two-three')
  })

  t.test('opening a writer without append empties what was there', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('old content'))
    const writer = await driver.openWriter('/a')
    t.equal(writer.size, 0)
    await writer.write([Buffer.from('new')])
    await writer.close()
    t.equal(String(await driver.read('/a')), 'new')
  })

  t.test('after close another writer goes on with append', async t => {
    const driver = await make(t)
    for (const part of ['one', 'two', 'three']) {
      const writer = await driver.openWriter('/a', { append: part !== 'one' })
      await writer.write([Buffer.from(part)])
      await writer.close()
    }
    t.equal(String(await driver.read('/a')), 'onetwothree')
    const writer = await driver.openWriter('/a', { append: true })
    t.equal(writer.size, 11)
    await writer.close()
    t.equal(String(await driver.read('/a')), 'onetwothree', 'opening changes nothing')
  })

  t.test('appending to what is missing is path-not-found and makes nothing', async t => {
    const driver = await make(t)
    await rejects(t, driver.openWriter('/a/b', { append: true }), 'path-not-found', '/a/b', driver.name)
    t.same(await driver.list('/'), [])
  })

  t.test('thousands of chunks in one write arrive in order, empty ones change nothing', async t => {
    const driver = await make(t)
    const chunks = Array.from({ length: 5000 }, (_, i) => i % 7 === 0 ? Buffer.alloc(0) : Buffer.from(`${i},`))
    const writer = await driver.openWriter('/a')
    await writer.write([Buffer.from('begin:')])
    await writer.write(chunks)
    const expected = Buffer.concat([Buffer.from('begin:'), ...chunks])
    t.equal(writer.size, expected.length)
    await writer.close()
    t.ok(expected.equals(await driver.read('/a')))
  })

  t.test('a write of nothing is no error', async t => {
    const driver = await make(t)
    const writer = await driver.openWriter('/a')
    await writer.write([])
    await writer.write([Buffer.alloc(0), Buffer.alloc(0)])
    t.equal(writer.size, 0)
    await writer.write([Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(0)])
    t.equal(writer.size, 1)
    await writer.close()
    t.equal(String(await driver.read('/a')), 'x')
  })

  t.test('truncate cuts back, and what follows is appended there', async t => {
    const driver = await make(t)
    const writer = await driver.openWriter('/a')
    await writer.write([Buffer.from('0123'), Buffer.from('4567')])
    await writer.write([Buffer.from('89')])
    await writer.truncate(6)
    t.equal(writer.size, 6)
    await writer.write([Buffer.from('ab')])
    await writer.close()
    t.equal(String(await driver.read('/a')), '012345ab')
    const again = await driver.openWriter('/a', { append: true })
    await again.truncate(0)
    t.equal(again.size, 0)
    await again.close()
    t.equal((await driver.stat('/a')).size, 0)
  })

  t.test('cancel removes the file', async t => {
    const driver = await make(t)
    const writer = await driver.openWriter('/dir/a')
    await writer.write([Buffer.from('x')])
    await driver.write('/dir/b', Buffer.from('y'))
    await writer.cancel()
    await rejects(t, driver.stat('/dir/a'), 'path-not-found', '/dir/a', driver.name)
    t.same(await driver.list('/dir'), ['b'])
  })

  t.test('cancel removes the file also after close', async t => {
    const driver = await make(t)
    const writer = await driver.openWriter('/dir/a')
    await writer.write([Buffer.from('x')])
    await writer.close()
    await writer.cancel()
    await rejects(t, driver.read('/dir/a'), 'path-not-found', '/dir/a', driver.name)
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

function changes (t: Test, make: Make, flat: boolean): void {
  t.test('move takes a file away and puts it where directories are made for it', async t => {
    const driver = await make(t)
    await driver.write('/from/a', Buffer.from('content'))
    await driver.move('/from/a', '/to/some/b')
    t.equal(String(await driver.read('/to/some/b')), 'content')
    await rejects(t, driver.read('/from/a'), 'path-not-found', '/from/a', driver.name)
  })

  t.test('move replaces what lies at the target', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('new'))
    await driver.write('/b', Buffer.from('old and longer'))
    await driver.move('/a', '/b')
    t.equal(String(await driver.read('/b')), 'new')
    t.same(await driver.list('/'), ['b'])
  })

  t.test('move of the last file of a directory leaves whatever else is in it, and replaces what lies at the target', async t => {
    const driver = await make(t)
    for (const beside of [[], ['other']]) {
      for (const target of ['/to/new/data', '/to/there/data', '/to/other/name']) {
        await driver.write('/to/there/kept', Buffer.from('kept'))
        await driver.write('/to/there/data', Buffer.from('old and longer'))
        await driver.write('/from/dir/data', Buffer.from('new'))
        for (const name of beside) await driver.write(`/from/dir/${name}`, Buffer.from(name))
        await driver.move('/from/dir/data', target, { last: true })
        t.equal(String(await driver.read(target)), 'new')
        await rejects(t, driver.read('/from/dir/data'), 'path-not-found', '/from/dir/data', driver.name)
        for (const name of beside) t.equal(String(await driver.read(`/from/dir/${name}`)), name)
        t.equal(String(await driver.read('/to/there/kept')), 'kept')
        await driver.delete('/to')
        await driver.delete('/from').catch(() => {})
      }
    }
    await rejects(t, driver.move('/from/dir/data', '/to/x/data', { last: true }), 'path-not-found', '/from/dir/data', driver.name)
  })

  t.test('what a write may make its file of is gone or as it was, and need not be there', async t => {
    const driver = await make(t)
    for (const [spare, content] of [['short', 'a longer content'], ['a long spare file', 'short']] as const) {
      await driver.write('/from/spare', Buffer.from(spare))
      await driver.write('/to/new/a', Buffer.from(content), { recycle: '/from/spare' })
      t.equal(String(await driver.read('/to/new/a')), content)
      t.equal(String(await driver.read('/from/spare').catch(() => spare)), spare)
      t.same(await driver.list('/to/new'), ['a'])
    }
    await driver.write('/to/new/b', Buffer.from('x'), { recycle: '/from/missing' })
    t.equal(String(await driver.read('/to/new/b')), 'x')
  })

  t.test('changes that settle later are seen at once, and have settled in the end', async t => {
    const driver = await make(t)
    const settling = new Settling()
    await driver.write('/a/b', Buffer.from('one'), { settling })
    await driver.write('/a/b', Buffer.from('two'), { settling })
    await driver.write('/c', Buffer.from('three'), { settling })
    await driver.move('/c', '/d/e/f', { settling })
    t.equal(String(await driver.read('/a/b')), 'two')
    t.equal(String(await driver.read('/d/e/f')), 'three')
    await settling.end()
    await settling.end()
  })

  t.test('move onto itself keeps the content', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('content'))
    await driver.move('/a', '/a')
    t.same(await driver.list('/'), ['a'])
  })

  t.test('move takes a directory with all that lies in it', async t => {
    const driver = await make(t)
    await driver.write('/from/x/1', Buffer.from('one'))
    await driver.write('/from/2', Buffer.from('two'))
    await driver.move('/from', '/to/here')
    t.equal(String(await driver.read('/to/here/x/1')), 'one')
    t.same(await driver.list('/'), ['to'])
  })

  t.test('moving what is missing is path-not-found and makes nothing', async t => {
    const driver = await make(t)
    await driver.write('/b', Buffer.from('kept'))
    await rejects(t, driver.move('/a', '/b'), 'path-not-found', '/a', driver.name)
    await rejects(t, driver.move('/a', '/new/dir/c'), 'path-not-found', '/a', driver.name)
    t.equal(String(await driver.read('/b')), 'kept')
    t.same(await driver.list('/'), ['b'])
  })

  t.test('delete removes a path and all below it, but nothing whose name only begins the same', async t => {
    const driver = await make(t)
    for (const path of ['/dir/a/1', '/dir/a/x/y/2', '/dir/ab', '/dir/a.b/3', '/dir/a-b']) await driver.write(path, Buffer.from('x'))
    await driver.delete('/dir/a')
    t.same(await driver.list('/dir'), ['a-b', 'a.b', 'ab'])
    await rejects(t, driver.read('/dir/a/x/y/2'), 'path-not-found', '/dir/a/x/y/2', driver.name)
    t.equal(String(await driver.read('/dir/a.b/3')), 'x')
    await driver.delete('/dir/ab')
    t.same(await driver.list('/dir'), ['a-b', 'a.b'])
  })

  t.test('prune removes a directory in which nothing lies, and nothing else', async t => {
    const driver = await make(t)
    if (driver.prune === undefined) return t.pass('directories are parts of names')
    for (const path of ['/full/a', '/empty/a']) await driver.write(path, Buffer.from('x'))
    await driver.delete('/empty/a')
    t.equal(await driver.prune('/full'), false)
    t.equal(await driver.prune('/full/a'), false)
    t.equal(await driver.prune('/missing'), false)
    t.equal(await driver.prune('/empty'), !flat, 'one that is only a part of names went with the last of them')
    t.same(await driver.list('/'), ['full'])
    t.equal(String(await driver.read('/full/a')), 'x')
    await driver.write('/empty/b', Buffer.from('again'))
    t.same(await driver.list('/'), ['empty', 'full'])
  })

  t.test('what was deleted can be written again', async t => {
    const driver = await make(t)
    await driver.write('/dir/a', Buffer.from('one'))
    await driver.delete('/dir')
    await driver.write('/dir/a/b', Buffer.from('two'))
    t.equal(String(await driver.read('/dir/a/b')), 'two')
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

function separateNames (t: Test, make: Make): void {
  t.test('move refuses to put a file in the place of a directory, and keeps both', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('file'))
    await driver.write('/dir/x', Buffer.from('in it'))
    const error = await driver.move('/a', '/dir').then(() => undefined, (error: unknown) => error)
    t.ok(DriverError.is(error) && error.kind === 'failed')
    t.equal(String(await driver.read('/a')), 'file')
    t.equal(String(await driver.read('/dir/x')), 'in it')
  })

  t.test('nothing is made below a file, and the file stays', async t => {
    const driver = await make(t)
    await driver.write('/file', Buffer.from('x'))
    await driver.write('/other', Buffer.from('y'))
    for (const path of ['/file/a', '/file/a/b']) {
      await rejects(t, driver.write(path, Buffer.from('z')), 'path-not-found', path, driver.name)
      await rejects(t, driver.openWriter(path), 'path-not-found', path, driver.name)
    }
    t.ok(DriverError.is(await driver.move('/other', '/file/a').catch((error: unknown) => error)))
    t.equal(String(await driver.read('/file')), 'x')
    t.equal(String(await driver.read('/other')), 'y')
  })

  t.test('a directory is not replaced by a file', async t => {
    const driver = await make(t)
    await driver.write('/dir/a', Buffer.from('x'))
    await rejects(t, driver.write('/dir', Buffer.from('y')), 'failed', '/dir', driver.name)
    await rejects(t, driver.openWriter('/dir'), 'failed', '/dir', driver.name)
    await rejects(t, driver.openWriter('/dir', { append: true }), 'failed', '/dir', driver.name)
    t.equal(String(await driver.read('/dir/a')), 'x')
  })
}

function sharedNames (t: Test, make: Make): void {
  t.test('a file and a directory of one name keep out of each other\'s way', async t => {
    const driver = await make(t)
    await driver.write('/dir/a', Buffer.from('in it'))
    await driver.write('/dir', Buffer.from('file'))
    t.equal(String(await driver.read('/dir')), 'file')
    t.equal(String(await driver.read('/dir/a')), 'in it')
    t.match(await driver.stat('/dir'), { isDirectory: false, size: 4 })
    t.same(await driver.list('/'), ['dir'])
    t.same(await driver.list('/dir'), ['a'])
  })

  t.test('move puts a file beside a directory of its name, and keeps what lies in that', async t => {
    const driver = await make(t)
    await driver.write('/a', Buffer.from('file'))
    await driver.write('/dir/x', Buffer.from('in it'))
    await driver.move('/a', '/dir')
    t.equal(String(await driver.read('/dir')), 'file')
    t.equal(String(await driver.read('/dir/x')), 'in it')
  })

  t.test('delete removes both', async t => {
    const driver = await make(t)
    await driver.write('/dir/a', Buffer.from('in it'))
    await driver.write('/dir', Buffer.from('file'))
    await driver.delete('/dir')
    t.same(await driver.list('/'), [])
  })
}

async function text (driver: StorageDriver, path: string, range?: ByteRange): Promise<string> {
  return String(await buffer(await driver.createReadStream(path, range)))
}
