import t from 'tap'
import type { Test } from 'tap'
import { isDuration, parseDuration } from '../../../services/config/duration.js'
import { parseConfig } from '../../../services/config/parse.js'
import { configWarnings } from '../../../services/config/supported.js'
import { ConfigError } from '../../../services/errors/config-error.js'

/** The lines of a refused configuration; other errors fail the test. */
function lines (t: Test, input: unknown): readonly string[] {
  try {
    parseConfig(input)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const line of error.lines) t.notMatch(line, /[\r\n]/, 'one line each')
    return error.lines
  }
  t.fail('expected a ConfigError, nothing was thrown')
  return []
}

const refused = async (t: Test, input: unknown): Promise<string> => lines(t, input).join(' | ')
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
  t.match(log, { level: 'debug', formatter: 'text' })
  t.match(storage, { inmemory: {}, delete: { enabled: true }, maintenance: { readonly: { enabled: false } } })
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

t.test('unknown keys are refused by their full name, with the key that may be meant', async t => {
  const table: Array<[object, string]> = [
    [{ ...MEMORY, prox: {} }, 'prox: there is no such key; did you mean proxy?'],
    [{ storage: { inmemory: { size: 1 } } }, 'storage.inmemory.size: there is no such key'],
    [{ storage: { inmemory: {}, delete: { enable: true } } }, 'storage.delete.enable: there is no such key; did you mean storage.delete.enabled?'],
    [{ ...MEMORY, http: { port: 5000 } }, 'http.port: there is no such key'],
    [{ ...MEMORY, catalog: { maxEntries: 5 } }, 'catalog.maxEntries: there is no such key; did you mean catalog.maxentries?'],
    [{ ...MEMORY, notifications: { endpoints: [{ disabled: true, uri: 'x' }] } }, 'notifications.endpoints[0].uri: there is no such key; did you mean notifications.endpoints[0].url?']
  ]
  for (const [input, line] of table) t.equal(await refused(t, input), line)
})

t.test('a wrong value is refused by the name of its key, with what is needed', async t => {
  const table: Array<[unknown, string]> = [
    ['text', 'configuration: a map of keys is needed, not "text"'],
    [[], 'configuration: a map of keys is needed, not []'],
    [{ ...MEMORY, version: '0.2' }, 'version: only 0.1 is supported, not "0.2"'],
    [{ ...MEMORY, log: { level: 'trace' } }, 'log.level: one of error, warn, info, debug is needed, not "trace"'],
    [{ ...MEMORY, log: null }, 'log: a map of keys is needed, not null'],
    [{ storage: 'inmemory' }, 'storage: a map of keys is needed, not "inmemory"'],
    [{ storage: { inmemory: true } }, 'storage.inmemory: a map of keys is needed, not true'],
    [{ storage: { filesystem: { rootdirectory: 5 } } }, 'storage.filesystem.rootdirectory: a text is needed, not 5'],
    [{ storage: { filesystem: { fsync: 'no' } } }, 'storage.filesystem.fsync: true or false is needed, not "no"'],
    [{ ...MEMORY, http: { headers: { 'X-A': 'b' } } }, 'http.headers.X-A: a list is needed, not "b"'],
    [{ ...MEMORY, http: { headers: { 'X-A': [1] } } }, 'http.headers.X-A[0]: a text is needed, not 1'],
    [{ ...MEMORY, http: { draintimeout: '5 minutes' } }, 'http.draintimeout: a duration such as 300ms, 10s or 1h30m is needed, not "5 minutes"'],
    [{ ...MEMORY, catalog: { maxentries: 1.5 } }, 'catalog.maxentries: a whole number is needed, not 1.5'],
    [{ ...MEMORY, tags: { maxtags: -1 } }, 'tags.maxtags: must be >= 0, not -1'],
    [{ ...MEMORY, http: { secret: 5 } }, 'http.secret: a text is needed, not ***'],
    [{ ...MEMORY, middleware: { storage: [{}] } }, 'middleware.storage[0].name: is missing']
  ]
  for (const [input, line] of table) t.equal(await refused(t, input), line)
})

t.test('all that is wrong is said at once', async t => {
  t.same(lines(t, { log: { level: 'x' }, http: { addr: 5 }, storage: { filesytem: {} } }), [
    'log.level: one of error, warn, info, debug is needed, not "x"',
    'storage.filesytem: there is no such key; did you mean storage.filesystem?',
    'http.addr: a text is needed, not 5',
    'storage: exactly one driver is needed, none is given: filesystem or inmemory'
  ])
})

t.test('what is not built yet and would be missed is refused; what nobody would notice is a warning', async t => {
  const refusals: Array<[object, string]> = [
    [{ ...MEMORY, proxy: { remoteurl: 'https://registry.example' } }, 'proxy.remoteurl'],
    [{ ...MEMORY, middleware: { storage: [{ name: 'cloudfront' }] } }, 'middleware.storage (cloudfront)']
  ]
  for (const [input, key] of refusals) t.same(lines(t, input), [`${key}: is not supported yet`])
  const off = { auth: { none: {} }, notifications: { endpoints: [{ name: 'n', url: 'http://n', disabled: true }] }, middleware: { storage: [{ name: 'redirect', disabled: true }] } }
  t.same(configWarnings(parseConfig({ ...MEMORY, ...off })), [])
  t.same(configWarnings(parseConfig({
    storage: { inmemory: {}, cache: { layerinfo: 'redis' } }, log: { hooks: [{ type: 'mail' }] }, loglevel: 'info', reporting: { bugsnag: {} }
  })), [
    'log.hooks: no mail is sent; watch the log with your log pipeline instead',
    'reporting: was removed in registry 3 and has no effect',
    'storage.cache.layerinfo: is the old name of storage.cache.blobdescriptor',
    'loglevel: is the old name of log.level'
  ])
})

t.test('a cache in memory beside a Redis is a warning: other servers on it are not heard', async t => {
  const warnings = (blobdescriptor: string, redis?: object): string[] => configWarnings(parseConfig({ storage: { inmemory: {}, cache: { blobdescriptor } }, ...(redis === undefined ? {} : { redis }) }))
  t.same(warnings('inmemory', { addr: 'redis:6379' }), [
    'storage.cache.blobdescriptor: inmemory is not told what other servers delete; where several share this redis it should be redis'
  ])
  t.same(warnings('inmemory'), [])
  t.same(warnings('inmemory', { addrs: [] }), [])
  t.same(warnings('redis', { addr: 'redis:6379' }), [])
})

t.test('sizes of policies are numbers of bytes, patterns are not empty, and regular expressions are those of RE2', async t => {
  t.same(lines(t, { ...MEMORY, policy: { sizes: [{ layer: '5 apples' }], quotas: [{ bytes: '-1' }], immutabletags: [{ tags: [''] }] } }), [
    'policy.immutabletags[0].tags[0]: must NOT have fewer than 1 characters, not ""',
    'policy.sizes[0].layer: a number of bytes such as 512kB, 50MB or 1GiB is needed, not "5 apples"',
    'policy.quotas[0].bytes: a number of bytes such as 512kB, 50MB or 1GiB is needed, not "-1"'
  ])
  t.same(lines(t, { ...MEMORY, policy: { quotas: [{ repositories: ['Team/*', 'team/*'], bytes: '1' }] } }), ['policy.quotas[0].repositories: "Team/*" matches no repository name'])
  t.same(lines(t, { ...MEMORY, policy: { quotas: [{}], annotations: [{ labels: true }] } }), ['policy.annotations[0].required: is missing', 'policy.quotas[0].bytes: is missing'])
  t.same(lines(t, { ...MEMORY, validation: { manifests: { urls: { allow: ['^https://'], deny: ['(', '(?=x)'] } } } }), [
    'validation.manifests.urls.deny[0]: error parsing regexp: missing closing ): `(`',
    'validation.manifests.urls.deny[1]: error parsing regexp: invalid or unsupported Perl syntax: `(?=`'
  ])
})

t.test('access control is one controller with what it needs, and rules that mean something', async t => {
  const htpasswd = { realm: 'r', path: 'p' }
  const rule = { repositories: ['**'], actions: ['pull'], anonymous: true }
  const table: Array<[object, string[]]> = [
    [{ htpasswd: {} }, ['auth.htpasswd.realm: is missing', 'auth.htpasswd.path: is missing']],
    [{ silly: { realm: 'r' } }, ['auth.silly.service: is missing']],
    [{ htpasswd, silly: { realm: 'r', service: 's' } }, ['auth: one controller is needed, got htpasswd and silly']],
    [{ none: {}, htpasswd }, ['auth: one controller is needed, got none and htpasswd']],
    [{ htpaswd: htpasswd }, ['auth.htpaswd: there is no such key; did you mean auth.htpasswd?']],
    [{ htpasswd: { ...htpasswd, access: [{ ...rule, actions: ['read'] }] } }, ['auth.htpasswd.access[0].actions[0]: one of pull, push, delete, * is needed, not "read"']],
    [{ htpasswd: { ...htpasswd, access: [rule, { repositories: ['**'], actions: ['pull'] }] } }, ['auth.htpasswd.access[1]: is for nobody: users, groups, authenticated or anonymous is needed']],
    [{ htpasswd: { ...htpasswd, groups: { devs: ['ann'] }, access: [{ ...rule, groups: ['dev', 'devs'] }] } }, ['auth.htpasswd.access[0].groups: there is no group "dev" in auth.htpasswd.groups']],
    [{ htpasswd: { ...htpasswd, access: [{ ...rule, repositories: ['a/**', 'Team/*', '/a', 'a/', 'a//b', '!a', '', '{a', 'a]', '@(a)'] }] } },
      ['Team/*', '/a', 'a/', 'a//b', '!a', '', '{a', 'a]', '@(a)'].map(pattern => `auth.htpasswd.access[0].repositories: "${pattern}" matches no repository name`)],
    [{ htpasswd: { ...htpasswd, throttle: { delay: '1 s' } } }, ['auth.htpasswd.throttle.delay: a duration such as 300ms, 10s or 1h30m is needed, not "1 s"']]
  ]
  for (const [auth, expected] of table) t.same(lines(t, { ...MEMORY, auth }), expected)
  const { auth } = parseConfig({ ...MEMORY, auth: { htpasswd: { ...htpasswd, access: [{ ...rule, repositories: ['a/{b,c/d}/**', '[ab]?/*-x'] }] } } } as object)
  t.match(auth, { htpasswd: { throttle: { free: 10, delay: '1s', maxdelay: '30s' } } })
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

t.test('http.trustedproxies are addresses and networks', async t => {
  const trustedproxies = ['10.0.0.0/8', '127.0.0.1', '::1', 'fd00::/8']
  t.same(parseConfig({ ...MEMORY, http: { trustedproxies } }).http.trustedproxies, trustedproxies)
  for (const proxy of ['', 'proxy.example', '10.0.0.0/33', '10.0.0.0/0', '10.0.0.0/', '::1/129', '10.0.0.0/8/8', '10.0.0.0/a']) {
    t.equal(await refused(t, { ...MEMORY, http: { trustedproxies: ['::1', proxy] } }), `http.trustedproxies: an address or a network such as 10.0.0.0/8 is needed, not ${JSON.stringify(proxy)}`)
  }
})

t.test('http.prefix begins and ends with a slash', async t => {
  for (const prefix of ['/', '/a/', '/a/b-c/']) t.equal(parseConfig({ ...MEMORY, http: { prefix } }).http.prefix, prefix)
  for (const prefix of ['', 'a', 'a/', '/a', '//', '/a//b/']) t.match(await refused(t, { ...MEMORY, http: { prefix } }), /^http\.prefix: /, prefix)
})

t.test('durations are written as in Go; a bare number is nanoseconds', async t => {
  const table: Array<[string, number]> = [
    ['0', 0], ['0s', 0], ['300ms', 300], ['10s', 10_000], ['1h30m', 5_400_000], ['1.5h', 5_400_000], ['.5s', 500], ['2.s', 2000], ['1m', 60_000],
    ['1h2m3s4ms', 3_723_004], ['100us', 0.1], ['100\u00b5s', 0.1], ['5000000ns', 5], ['1s1s', 2000], ['5000000000', 5000], ['-5s', -5000]
  ]
  for (const [text, ms] of table) {
    t.equal(isDuration(text), true, text)
    t.equal(parseDuration(text), ms, text)
  }
  for (const text of ['', ' ', '5 s', 's', '.s', '5d', '5S', '1h 30m', '1h30', ' 10s', '10s ', '1e3s', '1,5s', '0x1s', '\u0665s', 'Infinity', '5constructor', '-']) t.equal(isDuration(text), false, text)
})
