import type { Test } from 'tap'
import { DriverError } from '../../services/errors/driver-error.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { Settling } from '../../services/storage/settling.js'
import { inOrder } from '../../services/storage/in-order.js'
import { rejects } from '../helpers/rejects.js'

/** Gives an empty driver that is gone with the test. */
export type Make = (t: Test) => Promise<StorageDriver>

export function writers (t: Test, make: Make): void {
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

export function changes (t: Test, make: Make, flat: boolean): void {
  t.test('move takes a file away and puts it where directories are made for it', async t => {
    const driver = await make(t)
    await driver.write('/from/a', Buffer.from('content'))
    await driver.move('/from/a', '/to/some/b')
    t.equal(String(await driver.read('/to/some/b')), 'content')
    await rejects(t, driver.read('/from/a'), 'path-not-found', '/from/a', driver.name)
  })

  t.test('changes in order are made one after the other', async t => {
    const driver = await make(t)
    await driver.write('/upload/started', Buffer.from('then'))
    await driver.write('/upload/data', Buffer.from('content'))
    await inOrder(driver, [
      { path: '/links/a', content: Buffer.from('first'), options: { inPlace: true } },
      { path: '/links/b', content: Buffer.from('link to it'), options: { recycle: '/upload/started' } },
      { path: '/upload/data', to: '/blobs/a/data', options: { last: true } },
      { path: '/links/a', content: Buffer.from('2nd'), options: { inPlace: true } }
    ])
    t.same(await driver.list('/links'), ['a', 'b'])
    t.equal(String(await driver.read('/links/a')), '2nd', 'what is there already is replaced as a whole')
    t.equal(String(await driver.read('/links/b')), 'link to it')
    t.equal(String(await driver.read('/blobs/a/data')), 'content')
    await rejects(t, driver.stat('/upload/data'), 'path-not-found', '/upload/data', driver.name)
  })

  t.test('what follows a change that fails is not made, and what was before it stays', async t => {
    const driver = await make(t)
    const changes = inOrder(driver, [
      { path: '/before', content: Buffer.from('x') },
      { path: '/missing', to: '/target' },
      { path: '/after', content: Buffer.from('y') }
    ])
    await rejects(t, changes, 'path-not-found', '/missing', driver.name)
    t.equal(String(await driver.read('/before')), 'x')
    await rejects(t, driver.read('/after'), 'path-not-found', '/after', driver.name)
  })

  t.test('changes that are long are made in order too', async t => {
    const driver = await make(t)
    const long = Buffer.alloc(200_000, 'long')
    await inOrder(driver, [{ path: '/a', content: long }, { path: '/a', to: '/b' }, { path: '/a', content: Buffer.from('short') }])
    t.ok(long.equals(await driver.read('/b')))
    t.equal(String(await driver.read('/a')), 'short')
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

export function separateNames (t: Test, make: Make): void {
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

export function sharedNames (t: Test, make: Make): void {
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
