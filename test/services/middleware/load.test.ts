import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../../../schemas/config/index.js'
import { parseConfig } from '../../../services/config/parse.js'
import { ConfigError } from '../../../services/errors/config-error.js'
import { findMiddleware, knownMiddleware, registerMiddleware } from '../../../services/middleware/catalogue.js'
import { loadMiddleware } from '../../../services/middleware/load.js'
import type { LoadedMiddleware } from '../../../services/middleware/load.js'
import type { MiddlewareContext } from '../../../services/middleware/middleware.js'
import type { StorageDriver } from '../../../services/storage/driver.js'
import { MemoryDriver } from '../../../services/storage/memory.js'

const silent = (): void => {}
const log = { debug: silent, info: silent, warn: silent, error: silent }

async function load (middleware: RegistryConfigInput['middleware'], base = '.'): Promise<LoadedMiddleware> {
  const config = parseConfig({ storage: { inmemory: {} }, ...(middleware === undefined ? {} : { middleware }) })
  return await loadMiddleware({ base, context: { log, config } })
}

async function redirectUrl (storage: LoadedMiddleware['storage']): Promise<string | null> {
  let driver: StorageDriver = new MemoryDriver()
  for (const decorate of storage) driver = await decorate(driver)
  return await driver.redirectUrl('/a/data', 'GET')
}

/** Checks that it fails with exactly these lines. */
async function refused (t: Test, loading: Promise<unknown>, lines: readonly string[]): Promise<void> {
  const error = await loading.then(() => undefined, (error: unknown) => error)
  t.same(error instanceof ConfigError ? error.lines : error, lines)
}

t.test('a name that does not exist is one line, and tells those that do', async t => {
  await refused(t, load({ storage: [{ name: 'redirct' }], registry: [{ name: 'x' }] }), [
    'middleware.storage[0].name: there is no storage middleware called "redirct"; known are redirect, rewrite',
    'middleware.registry[0].name: there is no registry middleware called "x"; none is known'
  ])
})

t.test('what is disabled is left out, whatever it is called', async t => {
  const { storage } = await load({ storage: [{ name: 'nothing', disabled: true }, { name: 'redirect', disabled: true }, { name: './nowhere.js', disabled: true }] })
  t.same(storage, [])
})

t.test('cloudfront is refused by its name, unless it is disabled', async t => {
  await refused(t, load({ storage: [{ name: 'cloudfront', options: {} }] }), ['middleware.storage (cloudfront): is not supported yet'])
  t.same((await load({ storage: [{ name: 'cloudfront', disabled: true }] })).storage, [])
})

t.test('options that make no sense are one line each', async t => {
  const mistakes: Array<[string, Record<string, unknown>, string]> = [
    ['redirect', {}, 'baseurl: is missing'],
    ['redirect', { baseurl: '' }, 'baseurl: is missing'],
    ['redirect', { baseurl: 'cdn.example.com/x' }, 'baseurl: a URL with scheme and host is needed, not "cdn.example.com/x"'],
    ['redirect', { baseurl: '/blobs' }, 'baseurl: a URL with scheme and host is needed, not "/blobs"'],
    ['redirect', { baseurl: 7 }, 'baseurl: a text is needed, not 7'],
    ['rewrite', { scheme: 'ht tp' }, 'scheme: a scheme such as https is needed, not "ht tp"'],
    ['rewrite', { host: 'a/b' }, 'host: a host is needed, with a port if it has one, not "a/b"']
  ]
  for (const [name, options, line] of mistakes) {
    await refused(t, load({ storage: [{ name, options }] }), [`middleware.storage[0] (${name}): ${line}`])
  }
})

t.test('each is put in front of the ones before it', async t => {
  const { storage } = await load({
    storage: [
      { name: 'redirect', options: { baseurl: 'http://cdn.example.com:8080/base/' } },
      { name: 'rewrite', options: { scheme: 'https', host: 'edge.example.com', trimpathprefix: '/base' } }
    ]
  })
  t.equal(await redirectUrl(storage), 'https://edge.example.com/a/data')
  const turned = await load({ storage: [{ name: 'rewrite', options: { host: 'edge.example.com' } }, { name: 'redirect', options: { baseurl: 'http://cdn.example.com' } }] })
  t.equal(await redirectUrl(turned.storage), 'http://cdn.example.com/a/data')
})

t.test('a module is found beside the configuration, and gets options, log and configuration', async t => {
  const directory = t.testdir({
    'own.js': `export default async (options, context) => inner => Object.assign(inner, { seen: { options, context } })
    `,
    'package.json': '{ "type": "module" }'
  })
  for (const name of ['./own.js', join(directory, 'own.js'), `file://${directory}/own.js`]) {
    const { storage } = await load({ storage: [{ name, options: { a: 'b' } }] }, directory)
    const driver = await storage[0]?.(new MemoryDriver()) as MemoryDriver & { seen: { options: unknown, context: MiddlewareContext } }
    t.same(driver.seen.options, { a: 'b' })
    t.equal(driver.seen.context.log, log)
    t.ok(driver.seen.context.config.storage.inmemory)
  }
})

t.test('a module that cannot be used is one line', async t => {
  const directory = t.testdir({
    'package.json': '{ "type": "module" }',
    'broken.js': 'export default {{{\n',
    'throws.js': 'throw new Error("no licence\\nsecond line")\n',
    'none.js': 'export const other = 1\n',
    'wrong.js': 'export default () => 7\n',
    'fails.js': 'export default async () => { throw new Error("cannot reach its database") }\n'
  })
  await fails(t, directory, 'nowhere.js', /^middleware\.repository\[0\]\.name: cannot load \.\/nowhere\.js \(Cannot find module '[^\n']*nowhere\.js'\)$/)
  await fails(t, directory, 'broken.js', /^middleware\.repository\[0\]\.name: cannot load \.\/broken\.js \(Unexpected token '\{'\)$/)
  await fails(t, directory, 'throws.js', /^middleware\.repository\[0\]\.name: cannot load \.\/throws\.js \(no licence\)$/)
  await fails(t, directory, 'none.js', /^middleware\.repository\[0\]\.name: \.\/none\.js does not export a function by default$/)
  await fails(t, directory, 'wrong.js', /^middleware\.repository\[0\] \(\.\/wrong\.js\): its factory must return a function$/)
  await fails(t, directory, 'fails.js', /^middleware\.repository\[0\] \(\.\/fails\.js\): cannot reach its database$/)
})

async function fails (t: Test, directory: string, file: string, line: RegExp): Promise<void> {
  await t.rejects(load({ repository: [{ name: `./${file}` }] }, directory), { message: line }, file)
}

t.test('a middleware that is registered is known by its name, once', async t => {
  registerMiddleware('registry', 'mine', () => namespace => namespace)
  t.same(knownMiddleware('registry'), ['mine'])
  t.ok(findMiddleware('registry', 'mine'))
  t.equal((await load({ registry: [{ name: 'mine' }] })).registry.length, 1)
  t.throws(() => { registerMiddleware('registry', 'mine', () => namespace => namespace) }, { message: 'there is a registry middleware called mine already' })
  for (const name of ['', './mine.js', '/mine.js', 'file:mine.js']) {
    t.throws(() => { registerMiddleware('registry', name, () => namespace => namespace) }, { message: `a middleware cannot be called ${JSON.stringify(name)}` })
  }
})
