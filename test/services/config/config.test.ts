import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'
import { formatAddress, parseAddress } from '../../../services/config/address.js'
import { parseDuration } from '../../../services/config/duration.js'
import { STANDALONE_DEFAULTS, loadConfigFile } from '../../../services/config/load.js'
import { parseConfig } from '../../../services/config/parse.js'
import { ConfigError } from '../../../services/errors/config-error.js'

/** The one line of a refused configuration; other errors fail the test. */
async function refusal (t: Test, run: () => unknown): Promise<string> {
  try {
    await run()
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      t.fail('expected a ConfigError', { found: error })
      return ''
    }
    t.equal(error.name, 'ConfigError')
    t.notMatch(error.message, /[\r\n]/, 'one line')
    return error.message
  }
  t.fail('expected a ConfigError, nothing was thrown')
  return ''
}

const refused = (t: Test, input: unknown): Promise<string> => refusal(t, () => parseConfig(input))
const MEMORY = { storage: { inmemory: {} } }

t.test('what is left out has the documented defaults', async t => {
  t.match(parseConfig(MEMORY), {
    log: { level: 'info', formatter: 'text' },
    storage: { inmemory: {}, delete: { enabled: false }, maintenance: { readonly: { enabled: false } } },
    http: { addr: '127.0.0.1:5000', prefix: '/', relativeurls: false, draintimeout: '0s', headers: {} },
    catalog: { maxentries: 1000 },
    tags: { maxtags: 1000 }
  })
  const { http, storage } = parseConfig(MEMORY)
  t.notOk('host' in http)
  t.notOk('filesystem' in storage)
})

t.test('the filesystem driver has defaults of its own', async t => {
  t.same(parseConfig({ storage: { filesystem: {} } }).storage.filesystem, { rootdirectory: '/var/lib/registry', fsync: true })
  t.same(parseConfig({ storage: { filesystem: { rootdirectory: '/data', fsync: false } } }).storage.filesystem, { rootdirectory: '/data', fsync: false })
})

t.test('what is given stays, and its neighbours get their defaults', async t => {
  const { http, log, storage } = parseConfig({
    version: '0.1',
    log: { level: 'debug' },
    storage: { inmemory: {}, delete: { enabled: true } },
    http: { addr: ':5001', host: 'https://registry.example', prefix: '/a/b/', secret: 'x', headers: { 'X-Content-Type-Options': ['nosniff'] }, draintimeout: '1m30s' }
  })
  t.same(log, { level: 'debug', formatter: 'text' })
  t.same(storage, { inmemory: {}, delete: { enabled: true }, maintenance: { readonly: { enabled: false } } })
  t.match(http, { addr: ':5001', host: 'https://registry.example', prefix: '/a/b/', relativeurls: false, draintimeout: '1m30s', headers: { 'X-Content-Type-Options': ['nosniff'] } })
})

t.test('the input is not changed, and the defaults of two configurations are not shared', async t => {
  const input = { storage: { inmemory: {} }, http: {} }
  const one = parseConfig(input)
  t.same(input, { storage: { inmemory: {} }, http: {} })
  const other = parseConfig(input)
  t.not(one.http.headers, other.http.headers)
  t.not(one.log, other.log)
  one.http.headers['X-Only'] = ['one']
  t.same(parseConfig(input).http.headers, {})
})

t.test('a frozen input is taken', async t => {
  t.equal(parseConfig(Object.freeze({ storage: Object.freeze({ inmemory: Object.freeze({}) }) })).log.level, 'info')
})

t.test('exactly one storage driver is needed', async t => {
  for (const input of [undefined, null, {}, { storage: {} }, { storage: { delete: { enabled: true } } }]) {
    t.equal(await refused(t, input), 'storage: exactly one driver is needed, none is given: filesystem or inmemory')
  }
  t.equal(await refused(t, { storage: { filesystem: {}, inmemory: {} } }), 'storage: exactly one driver is needed, got filesystem and inmemory')
})

t.test('unknown keys are refused by their full name', async t => {
  const table: Array<[object, string]> = [
    [{ ...MEMORY, proxy: {} }, 'proxy'],
    [{ storage: { inmemory: {}, s3: {} } }, 'storage.s3'],
    [{ storage: { inmemory: { size: 1 } } }, 'storage.inmemory.size'],
    [{ storage: { filesystem: { maxthreads: 100 } } }, 'storage.filesystem.maxthreads'],
    [{ storage: { inmemory: {}, delete: { enable: true } } }, 'storage.delete.enable'],
    [{ storage: { inmemory: {}, maintenance: { uploadpurging: {} } } }, 'storage.maintenance.uploadpurging'],
    [{ ...MEMORY, http: { port: 5000 } }, 'http.port'],
    [{ ...MEMORY, log: { accesslog: {} } }, 'log.accesslog'],
    [{ ...MEMORY, catalog: { maxEntries: 5 } }, 'catalog.maxEntries']
  ]
  for (const [input, key] of table) t.equal(await refused(t, input), `${key}: unknown or not supported yet`)
})

t.test('a wrong value is refused by the name of its key, with what is allowed', async t => {
  const table: Array<[unknown, string]> = [
    ['text', 'configuration: must be object'],
    [[], 'configuration: must be object'],
    [{ ...MEMORY, version: '0.2' }, 'version: must be equal to constant 0.1'],
    [{ ...MEMORY, version: 0.1 }, 'version: must be string'],
    [{ ...MEMORY, log: { level: 'trace' } }, 'log.level: must be equal to one of the allowed values: error, warn, info, debug'],
    [{ ...MEMORY, log: { formatter: 'logstash' } }, 'log.formatter: must be equal to one of the allowed values: text, json'],
    [{ ...MEMORY, log: null }, 'log: must be object'],
    [{ storage: 'inmemory' }, 'storage: must be object'],
    [{ storage: { inmemory: true } }, 'storage.inmemory: must be object'],
    [{ storage: { filesystem: { rootdirectory: '' } } }, 'storage.filesystem.rootdirectory: must NOT have fewer than 1 characters'],
    [{ storage: { filesystem: { rootdirectory: 5 } } }, 'storage.filesystem.rootdirectory: must be string'],
    [{ storage: { filesystem: { fsync: 'no' } } }, 'storage.filesystem.fsync: must be boolean'],
    [{ storage: { inmemory: {}, delete: { enabled: 'true' } } }, 'storage.delete.enabled: must be boolean'],
    [{ storage: { inmemory: {}, maintenance: { readonly: true } } }, 'storage.maintenance.readonly: must be object'],
    [{ ...MEMORY, http: { addr: 5000 } }, 'http.addr: must be string'],
    [{ ...MEMORY, http: { relativeurls: 1 } }, 'http.relativeurls: must be boolean'],
    [{ ...MEMORY, http: { headers: { 'X-A': 'b' } } }, 'http.headers.X-A: must be array'],
    [{ ...MEMORY, http: { headers: { 'X-A': [1] } } }, 'http.headers.X-A.0: must be string'],
    [{ ...MEMORY, catalog: { maxentries: 1.5 } }, 'catalog.maxentries: must be integer'],
    [{ ...MEMORY, tags: { maxtags: -1 } }, 'tags.maxtags: must be >= 0'],
    [{ ...MEMORY, tags: { maxtags: '10' } }, 'tags.maxtags: must be integer']
  ]
  for (const [input, message] of table) t.equal(await refused(t, input), message)
})

t.test('a value that is no data at all is refused like any other', async t => {
  t.match(await refused(t, { ...MEMORY, http: { addr: () => ':5000' } }), /^http\.addr: |^configuration: /)
})

t.test('http.host has a scheme and a host and is a URL', async t => {
  for (const host of ['http://a', 'https://a.b:5000', 'https://a/path', 'http://[::1]:5000']) t.equal(parseConfig({ ...MEMORY, http: { host } }).http.host, host)
  for (const host of ['', 'example.com', 'example.com:5000', '//example.com', 'ftp://example.com', 'https://', 'https:///path']) {
    t.match(await refused(t, { ...MEMORY, http: { host } }), /^http\.host: /, host)
  }
  for (const host of ['https://:5000', 'https://a b', 'https://a:99999', 'https://a:port', 'https://[::1', 'http://?']) {
    t.match(await refused(t, { ...MEMORY, http: { host } }), /^http\.host: /, host)
  }
})

t.test('http.prefix begins and ends with a slash', async t => {
  for (const prefix of ['/', '/a/', '/a/b-c/']) t.equal(parseConfig({ ...MEMORY, http: { prefix } }).http.prefix, prefix)
  for (const prefix of ['', 'a', 'a/', '/a', '//', '/a//b/']) t.match(await refused(t, { ...MEMORY, http: { prefix } }), /^http\.prefix: /, prefix)
})

t.test('http.draintimeout is a duration', async t => {
  t.equal(await refused(t, { ...MEMORY, http: { draintimeout: '5 minutes' } }), 'http.draintimeout: not a duration such as 300ms, 10s or 1h30m: 5 minutes')
  t.match(await refused(t, { ...MEMORY, http: { draintimeout: '' } }), /^http\.draintimeout: /)
})

t.test('durations are written as in Go', async t => {
  const table: Array<[string, number]> = [
    ['0', 0], ['0s', 0], ['300ms', 300], ['10s', 10_000], ['1h30m', 5_400_000], ['1.5h', 5_400_000], ['.5s', 500], ['2.s', 2000], ['1m', 60_000],
    ['1h2m3s4ms', 3_723_004], ['100us', 0.1], ['100µs', 0.1], ['5000000ns', 5], ['1s1s', 2000]
  ]
  for (const [text, ms] of table) t.equal(parseDuration(text, 'key'), ms, text)
  for (const text of ['', ' ', '5', '-5s', '+5s', '5 s', 's', '.s', '5d', '5S', '1h 30m', '1h30', ' 10s', '10s ', '1e3s', '1,5s', '0x1s', '٥s', 'Infinity', '5constructor']) {
    t.equal(await refusal(t, () => parseDuration(text, 'a.b')), `a.b: not a duration such as 300ms, 10s or 1h30m: ${text}`)
  }
})

t.test('an address is host and port, a bracketed IPv6 address, or a port alone', async t => {
  const table: Array<[string, string, number, string]> = [
    ['127.0.0.1:5000', '127.0.0.1', 5000, '127.0.0.1:5000'],
    ['localhost:0', 'localhost', 0, 'localhost:0'],
    [':5000', '::', 5000, '[::]:5000'],
    ['[::1]:5000', '::1', 5000, '[::1]:5000'],
    ['[::ffff:192.0.2.1]:80', '::ffff:192.0.2.1', 80, '[::ffff:192.0.2.1]:80'],
    ['registry.example:65535', 'registry.example', 65_535, 'registry.example:65535']
  ]
  for (const [text, host, port, shown] of table) {
    t.same(parseAddress(text), { host, port }, text)
    t.equal(formatAddress({ host, port }), shown)
  }
})

t.test('what is no address is refused', async t => {
  for (const addr of ['', 'localhost', '5000', 'localhost:', ':', ':port', 'a:65536', 'a:99999', 'a:123456', 'a:-1', 'a:1.5', 'a: 80', '::1:5000', '::1', '[::1]', '[]:5000', '[x]:5000', '1:2:3', 'http://a:80']) {
    t.equal(await refusal(t, () => parseAddress(addr)), `http.addr: not host:port: ${addr}`)
  }
})

t.test('the standalone server has a configuration without a file', async t => {
  t.match(parseConfig(STANDALONE_DEFAULTS), { http: { addr: '127.0.0.1:5000' }, storage: { filesystem: { rootdirectory: './data', fsync: true }, delete: { enabled: true } } })
})

/** Writes a configuration file. */
function file (t: Test, content: string): string {
  return join(t.testdir({ 'config.yml': content }), 'config.yml')
}

t.test('a file is read, whatever form its version and storage have', async t => {
  const table: Array<[string, object]> = [
    ['version: 0.1\nstorage: inmemory\n', { inmemory: {} }],
    ['version: "0.1"\nstorage:\n  inmemory:\n', { inmemory: {} }],
    ['version: 0.1\nstorage: {inmemory: {}}', { inmemory: {} }],
    ['version: 0.1\nstorage: filesystem\n', { filesystem: { rootdirectory: '/var/lib/registry', fsync: true } }],
    ['version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /data\n  delete:\n    enabled: true\n', { filesystem: { rootdirectory: '/data', fsync: true }, delete: { enabled: true } }],
    ['{"version": "0.1", "storage": {"inmemory": null}}', { inmemory: {} }],
    ['\ufeffversion: 0.1\r\nstorage: inmemory\r\n', { inmemory: {} }]
  ]
  for (const [i, [content, storage]] of table.entries()) {
    await t.test(`form ${i}`, async t => {
      t.match(parseConfig(await loadConfigFile(file(t, content))), { version: '0.1', storage })
    })
  }
})

t.test('a file that cannot be read is named, with the reason', async t => {
  const missing = join(t.testdir(), 'missing.yml')
  t.equal(await refusal(t, () => loadConfigFile(missing)), `cannot read ${missing} (ENOENT)`)
  const directory = t.testdirName
  t.equal(await refusal(t, () => loadConfigFile(directory)), `cannot read ${directory} (EISDIR)`)
})

t.test('a file that is no YAML is refused with file and line', async t => {
  const table: Array<[string, number]> = [
    ['version: 0.1\nstorage: {inmemory\n', 3],
    ['version: 0.1\nstorage:\n  inmemory: {}\n  inmemory: {}\n', 4],
    ['version: 0.1\nhttp:\n\taddr: x\n', 3],
    ['a: b: c\n', 1],
    ['version: 0.1\nlog: "unfinished\n', 3]
  ]
  for (const [i, [content, line]] of table.entries()) {
    await t.test(`error ${i}`, async t => {
      const path = file(t, content)
      const message = await refusal(t, () => loadConfigFile(path))
      t.ok(message.startsWith(`${path}:${line}: `), `${message} names line ${line}`)
      t.match(message, /\w$/, 'and does not end in the middle of something')
    })
  }
})

t.test('a file with an alias of nothing is refused with the alias', async t => {
  const path = file(t, 'version: 0.1\nlog: *nowhere\n')
  t.match(await refusal(t, () => loadConfigFile(path)), /config\.yml.*: Unresolved alias .*nowhere$/)
})

t.test('a file that is no mapping is refused', async t => {
  for (const [i, content] of ['', '# only a comment\n', '- a\n- b\n', 'text\n', '5\n', 'null\n'].entries()) {
    await t.test(`content ${i}`, async t => {
      const path = file(t, content)
      t.equal(await refusal(t, () => loadConfigFile(path)), `${path}: not a configuration: a mapping of keys is needed`)
    })
  }
})

t.test('a file must have a version, and the one we know', async t => {
  const without = file(t, 'storage: inmemory\n')
  t.equal(await refusal(t, () => loadConfigFile(without)), `${without}: version is missing, for example version: 0.1`)
  for (const [content, message] of [['version: 0.2', '0.2'], ['version: 1', '1'], ['version: abc', 'abc'], ['version:', 'null'], ['version: {}', 'object']] as const) {
    await t.test(message, async t => {
      const config = await loadConfigFile(file(t, `${content}\nstorage: inmemory\n`))
      t.equal(await refused(t, config), 'version: must be equal to constant 0.1')
    })
  }
})

t.test('a file with storage that is no driver is refused by the name of the key', async t => {
  for (const [content, message] of [
    ['storage: s3', 'storage.s3: unknown or not supported yet'],
    ['storage: 5', 'storage: must be object'],
    ['storage:', 'storage: must be object'],
    ['storage: [inmemory]', 'storage.0: unknown or not supported yet'],
    ['log: {}', 'storage: exactly one driver is needed, none is given: filesystem or inmemory']
  ] as const) {
    await t.test(content, async t => {
      const config = await loadConfigFile(file(t, `version: 0.1\n${content}\n`))
      t.equal(await refused(t, config), message)
    })
  }
})

/** The root of the repository, wherever the compiled test lies. */
function example (): string | undefined {
  for (let directory of [dirname(fileURLToPath(import.meta.url)), process.cwd()]) {
    for (; directory !== dirname(directory); directory = dirname(directory)) {
      const path = join(directory, 'config.example.yml')
      if (existsSync(path)) return path
    }
  }
  return undefined
}

t.test('the example configuration is accepted', async t => {
  const path = example()
  if (path === undefined) return t.pass('there is none', { skip: 'no config.example.yml' })
  t.match(parseConfig(await loadConfigFile(path)), { version: '0.1' })
})
