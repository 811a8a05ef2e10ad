import { Readable } from 'node:stream'
import t from 'tap'
import { DriverError } from '../../../services/errors/driver-error.js'
import type { ByteRange, FileInfo, FileWriter, StorageDriver } from '../../../services/storage/driver.js'
import { guarded } from '../../../services/storage/guarded.js'
import { rejects } from '../../helpers/rejects.js'

/** A driver that takes everything and notes what reached it; or throws, whatever it is asked. */
class Recorder implements StorageDriver {
  readonly name = 'recorder'
  readonly calls: unknown[][] = []
  readonly #failure: unknown
  /** Writers fail, not their opening. */
  opens = false
  readonly writer: FileWriter = {
    size: 0,
    write: async () => { this.#note('writer.write') },
    truncate: async () => { this.#note('writer.truncate') },
    close: async () => { this.#note('writer.close') },
    cancel: async () => { this.#note('writer.cancel') }
  }

  constructor (failure?: unknown) {
    this.#failure = failure
  }

  #note (...call: unknown[]): void {
    this.calls.push(call)
    if (this.#failure !== undefined && !(this.opens && call[0] === 'openWriter')) throw this.#failure
  }

  async read (path: string, options?: object): Promise<Buffer> { this.#note('read', path, options); return Buffer.from('content') }
  async write (path: string, content: Uint8Array, options?: object): Promise<void> { this.#note('write', path, content, options) }
  async createReadStream (path: string, range?: ByteRange): Promise<Readable> { this.#note('createReadStream', path, range); return Readable.from([]) }
  async openWriter (path: string, options?: object): Promise<FileWriter> { this.#note('openWriter', path, options); return this.writer }
  async list (path: string): Promise<string[]> { this.#note('list', path); return ['a'] }
  async move (from: string, to: string): Promise<void> { this.#note('move', from, to) }
  async delete (path: string): Promise<void> { this.#note('delete', path) }
  async redirectUrl (path: string, method: string): Promise<string> { this.#note('redirectUrl', path, method); return 'https://elsewhere/' }
  async close (): Promise<void> { this.#note('close') }
  async stat (path: string): Promise<FileInfo> {
    this.#note('stat', path)
    return { path, size: 1, isDirectory: false, modified: new Date(0) }
  }
}

const CONTENT = Buffer.from('x')
const METHODS: Record<string, (driver: StorageDriver, path: string) => Promise<unknown>> = {
  read: (driver, path) => driver.read(path),
  'read with a limit': (driver, path) => driver.read(path, { maxBytes: 1 }),
  write: (driver, path) => driver.write(path, CONTENT),
  createReadStream: (driver, path) => driver.createReadStream(path),
  'createReadStream of a range': (driver, path) => driver.createReadStream(path, { start: 0, end: 1 }),
  openWriter: (driver, path) => driver.openWriter(path),
  'openWriter to append': (driver, path) => driver.openWriter(path, { append: true }),
  stat: (driver, path) => driver.stat(path),
  list: (driver, path) => driver.list(path),
  'move from': (driver, path) => driver.move(path, '/good'),
  'move to': (driver, path) => driver.move('/good', path),
  delete: (driver, path) => driver.delete(path),
  redirectUrl: (driver, path) => driver.redirectUrl(path, 'GET')
}

const ESCAPES = [
  '', 'a', 'a/b', './a', '../a', '//', '//a', '/a//b', '/a/', '/a/b/',
  '/.', '/..', '/...', '/../x', '/./x', '/a/.', '/a/..', '/a/...', '/a/../b', '/a/../../b', '/a/./b', '/a/..../b',
  '/a\0', '/a\0b', '/\0', '/a\n', '/a\n/b', '/a\r', '/a\t', '/a b', '/ a',
  '\\', '/a\\b', '/..\\x', 'C:\\x', '/C:', '/a:b',
  '/é', '/日本', '/a\u2024\u2024/b', '/\uff0e\uff0e/x', '/a\u2215b', '/\u{1f4a9}', '/a\ud800',
  '/%2e%2e/x', '/a%2fb', '/a%00', '/~', '/a*', '/a?b', '/a#b', '/$x', '/a;b', "/a'b", '/a"b', '/a|b', '/a+b', '/a@b'
]

for (const [name, method] of Object.entries(METHODS)) {
  t.test(`${name} refuses every path that is not in the grammar, and the driver is not asked`, async t => {
    const recorder = new Recorder()
    const driver = guarded(recorder)
    for (const path of ESCAPES) {
      const error = await method(driver, path).then(() => undefined, (error: unknown) => error)
      if (!DriverError.is(error)) t.fail(`${JSON.stringify(path)} was let through`)
      else t.match(error, { kind: 'invalid-path', driver: 'recorder', path }, JSON.stringify(path))
    }
    t.same(recorder.calls, [])
  })
}

t.test('the root can be looked at and nothing else', async t => {
  const recorder = new Recorder()
  const driver = guarded(recorder)
  t.match(await driver.stat('/'), { path: '/' })
  t.same(await driver.list('/'), ['a'])
  recorder.calls.length = 0
  for (const [name, method] of Object.entries(METHODS)) {
    if (name !== 'stat' && name !== 'list') await rejects(t, method(driver, '/'), 'invalid-path', '/', 'recorder')
  }
  t.same(recorder.calls, [])
})

t.test('paths in the grammar reach the driver unchanged, with all that belongs to the call', async t => {
  const recorder = new Recorder()
  const driver = guarded(recorder)
  const range = { start: 0, end: 0 }
  t.equal(String(await driver.read('/a', { maxBytes: 3 })), 'content')
  await driver.write('/a.b/_c', CONTENT, { durable: false })
  await driver.createReadStream('/.a', range)
  t.equal((await driver.openWriter('/a..b', { append: true })).size, 0)
  t.equal((await driver.stat('/..a/x-')).size, 1)
  t.same(await driver.list('/A/0'), ['a'])
  await driver.move('/-a', '/b...')
  await driver.delete('/docker/registry/v2/blobs')
  t.equal(await driver.redirectUrl('/a', 'HEAD'), 'https://elsewhere/')
  await driver.close()
  t.same(recorder.calls, [
    ['read', '/a', { maxBytes: 3 }],
    ['write', '/a.b/_c', CONTENT, { durable: false }],
    ['createReadStream', '/.a', range],
    ['openWriter', '/a..b', { append: true }],
    ['stat', '/..a/x-'],
    ['list', '/A/0'],
    ['move', '/-a', '/b...'],
    ['delete', '/docker/registry/v2/blobs'],
    ['redirectUrl', '/a', 'HEAD'],
    ['close']
  ])
  t.equal(driver.name, 'recorder')
})

t.test('a range that is none is invalid-offset, and the driver is not asked', async t => {
  const recorder = new Recorder()
  const driver = guarded(recorder)
  const ranges: ByteRange[] = [
    { start: -1, end: 5 }, { start: 5, end: 4 }, { start: 0, end: -1 }, { start: 0.5, end: 2 }, { start: 0, end: 1.5 },
    { start: NaN, end: 1 }, { start: 0, end: NaN }, { start: 0, end: Infinity }, { start: -Infinity, end: 1 }, { start: 0, end: 2 ** 53 },
    { start: '0', end: '1' } as unknown as ByteRange, {} as unknown as ByteRange
  ]
  for (const range of ranges) await rejects(t, driver.createReadStream('/a', range), 'invalid-offset', '/a', 'recorder')
  t.same(recorder.calls, [])
})

t.test('the largest range there can be reaches the driver', async t => {
  const recorder = new Recorder()
  const range = { start: Number.MAX_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER }
  await guarded(recorder).createReadStream('/a', range)
  t.same(recorder.calls, [['createReadStream', '/a', range]])
})

t.test('a long hostile path is refused without being repeated whole, in no time', async t => {
  const driver = guarded(new Recorder())
  for (const path of [`${'/a'.repeat(50_000)}!`, `/${'.'.repeat(100_000)}`, '/a'.repeat(50_000) + '/', `/${'a'.repeat(100_000)}/..`]) {
    const start = performance.now()
    const error = await driver.read(path).catch((error: unknown) => error)
    t.ok(performance.now() - start < 1000, 'linear time')
    t.ok(DriverError.is(error) && error.kind === 'invalid-path' && error.message.length < 2000)
  }
})

const PATHS = Object.entries(METHODS).map(([name, method]) => ({ name, method, path: '/good' }))
const ROOT = ['stat', 'list'].map(name => ({ name, method: METHODS[name] as (driver: StorageDriver, path: string) => Promise<unknown>, path: '/' }))

for (const { name, method, path } of [...PATHS, ...ROOT]) {
  t.test(`an error of its own that a driver throws from ${name} ${path} is wrapped as failed`, async t => {
    const cause = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
    const error = await rejects(t, method(guarded(new Recorder(cause)), path), 'failed', path, 'recorder')
    t.equal(error?.cause, cause)
    t.match(error?.message, /socket hang up/)
  })

  t.test(`a DriverError from ${name} ${path} passes as it is`, async t => {
    const thrown = new DriverError('path-not-found', { driver: 'inner', path: '/inner' })
    t.equal(await method(guarded(new Recorder(thrown)), path).catch((error: unknown) => error), thrown)
  })
}

t.test('what a driver throws that is no Error at all is wrapped too', async t => {
  for (const thrown of ['text', 0, null, { code: 'X' }]) {
    const error = await rejects(t, guarded(new Recorder(thrown)).read('/a'), 'failed', '/a', 'recorder')
    t.equal(error?.cause, thrown)
  }
})

t.test('a driver that throws before it returns a promise is wrapped too', async t => {
  const cause = new TypeError('not a function')
  const broken = Object.assign(new Recorder(), { stat: () => { throw cause } }) as StorageDriver
  t.equal((await rejects(t, guarded(broken).stat('/a'), 'failed', '/a', 'recorder'))?.cause, cause)
})

const WRITER_METHODS: Record<string, (writer: FileWriter) => Promise<void>> = {
  write: writer => writer.write([CONTENT]),
  truncate: writer => writer.truncate(0),
  close: writer => writer.close(),
  cancel: writer => writer.cancel()
}

for (const [name, method] of Object.entries(WRITER_METHODS)) {
  t.test(`an error of its own that a driver's writer throws from ${name} is wrapped as failed`, async t => {
    const cause = new Error('connection lost')
    const writer = await guarded(Object.assign(new Recorder(cause), { opens: true })).openWriter('/a')
    t.equal((await rejects(t, method(writer), 'failed', '/a', 'recorder'))?.cause, cause)
  })
}
