import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { effectiveConfig } from '../../../services/config/effective.js'
import { loadConfig } from '../../../services/config/load.js'
import type { LoadedConfig } from '../../../services/config/load.js'
import { ConfigError } from '../../../services/errors/config-error.js'

/** Writes a configuration file. */
function file (t: Test, content: string): string {
  return join(t.testdir({ 'config.yml': content }), 'config.yml')
}

async function load (t: Test, content: string, environment: NodeJS.ProcessEnv = {}): Promise<LoadedConfig> {
  return await loadConfig({ file: file(t, content), environment })
}

/** The lines of a refusal, the path of the file shortened to its name. */
async function refusal (loading: Promise<unknown>): Promise<string[]> {
  try {
    await loading
  } catch (error) {
    if (error instanceof ConfigError) return error.lines.map(line => line.replaceAll(/\/\S*(config\.yml)/g, '$1'))
    throw error
  }
  return ['nothing was refused']
}

t.test('without a file there is a configuration that is built in', async t => {
  const { config, warnings } = await loadConfig({ environment: {} })
  t.match(config, { http: { addr: '127.0.0.1:5000' }, storage: { filesystem: { rootdirectory: './data', fsync: true }, delete: { enabled: true } } })
  t.same(warnings, [])
})

t.test('a file is read, whatever form its version and storage have', async t => {
  const table: Array<[string, object]> = [
    ['version: 0.1\nstorage: inmemory\n', { inmemory: {} }],
    ['version: "0.1"\nstorage:\n  inmemory:\n', { inmemory: {} }],
    ['version: 0.1\nstorage: {inmemory: {}}', { inmemory: {} }],
    ['version: 0.1\nstorage: filesystem\n', { filesystem: { rootdirectory: '/var/lib/registry', fsync: true } }],
    ['{"version": "0.1", "storage": {"inmemory": null}}', { inmemory: {} }],
    ['\ufeffversion: 0.1\r\nstorage: inmemory\r\nauth: none\r\n', { inmemory: {} }]
  ]
  for (const [i, [content, storage]] of table.entries()) {
    await t.test(`form ${i}`, async t => { t.match((await load(t, content)).config, { version: '0.1', storage }) })
  }
})

t.test('the schema decides what a value is: texts stay as they are written, booleans are those of YAML 1.1', async t => {
  const { config } = await load(t, [
    'version: 0.1', 'storage:', '  filesystem: {rootdirectory: 0123}', '  delete: {enabled: yes}', '  maintenance: {readonly: {enabled: Off}}',
    'http:', '  secret: 1e5', '  relativeurls: on', '  headers: {X-A: [yes, 0x10, null]}', '  draintimeout: 1000000', 'tags: {maxtags: 1_000}', 'catalog: {maxentries: 0x10}'
  ].join('\n'))
  t.match(config, {
    storage: { filesystem: { rootdirectory: '0123' }, delete: { enabled: true }, maintenance: { readonly: { enabled: false } } },
    http: { secret: '1e5', relativeurls: true, headers: { 'X-A': ['yes', '0x10', 'null'] }, draintimeout: '1000000' },
    tags: { maxtags: 1000 },
    catalog: { maxentries: 16 }
  })
})

t.test('anchors, aliases and merge keys are understood; a map\'s own keys win', async t => {
  const { config } = await load(t, 'version: 0.1\nstorage:\n  inmemory:\n  delete: &on {enabled: true}\n  maintenance: {readonly: {<<: *on}, uploadpurging: {<<: *on, enabled: false}}\n')
  t.match(config.storage, { delete: { enabled: true }, maintenance: { readonly: { enabled: true }, uploadpurging: { enabled: false } } })
})

t.test('a file that cannot be used is refused with file, line and reason', async t => {
  const missing = join(t.testdir(), 'missing.yml')
  t.same(await refusal(loadConfig({ file: missing, environment: {} })), [`cannot read ${missing} (ENOENT)`])
  const table: Array<[string, RegExp]> = [
    ['version: 0.1\nstorage: {inmemory\n', /^config\.yml:\d: \S/],
    ['version: 0.1\nstorage:\n  inmemory: {}\n  inmemory: {}\n', /^config\.yml:4: Map keys must be unique/],
    ['version: 0.1\nlog: *nowhere\n', /^config\.yml:2: .*nowhere/],
    ['- a\n', /^config\.yml: a map of keys is needed/],
    ['', /^config\.yml: a map of keys is needed/],
    ['storage: inmemory\n', /^config\.yml: version is missing, for example version: 0\.1$/],
    ['version: 0.2\nstorage: inmemory\n', /^version: only 0\.1 is supported, not "0\.2"$/]
  ]
  for (const [i, [content, line]] of table.entries()) {
    await t.test(`case ${i}`, async t => {
      const [first = '', ...more] = await refusal(load(t, content))
      t.match(first, line)
      t.same(more, [])
    })
  }
})

t.test('everything that is wrong is said at once, where it stands', async t => {
  t.same(await refusal(load(t, 'version: 0.1\nstorage:\n  filesytem: {}\n  delete: {enabled: maybe}\nhttp:\n  secret: [a]\n  draintimeout: soon\n')), [
    'storage.delete.enabled: true or false is needed, not "maybe" (config.yml:4)',
    'http.secret: a text is needed, not a list (config.yml:6)',
    'http.draintimeout: a duration such as 300ms, 10s or 1h30m is needed, not "soon"',
    'storage: exactly one driver is needed, none is given: filesystem or inmemory',
    'storage.filesytem: there is no such key; did you mean storage.filesystem? (config.yml:3)'
  ])
})

t.test('a key that does not exist is a warning, and an error when asked to be strict', async t => {
  const path = file(t, 'version: 0.1\nstorage: {inmemory: , delte: {enabled: true}}\nnonsense: 1\n')
  const { warnings } = await loadConfig({ file: path, environment: {} })
  t.same(warnings.map(line => line.replace(/\(.*\//, '(')), [
    'storage.delte: there is no such key; did you mean storage.delete? (config.yml:2)',
    'nonsense: there is no such key (config.yml:3)'
  ])
  t.equal((await refusal(loadConfig({ file: path, environment: {}, strict: true }))).length, 2)
})

t.test('the old name of the log level counts where the new one is not given', async t => {
  t.equal((await load(t, 'version: 0.1\nstorage: inmemory\nloglevel: DEBUG\n')).config.log.level, 'debug')
  t.equal((await load(t, 'version: 0.1\nstorage: inmemory\nloglevel: debug\nlog: {level: error}\n')).config.log.level, 'error')
})

t.test('the command line is over the environment, which is over the file', async t => {
  const path = file(t, 'version: 0.1\nstorage: inmemory\nhttp: {addr: file:1}\n')
  const addr = async (environment: NodeJS.ProcessEnv, settings: string[]): Promise<string> => (await loadConfig({ file: path, environment, settings })).config.http.addr
  t.equal(await addr({}, []), 'file:1')
  t.equal(await addr({ REGISTRY_HTTP_ADDR: 'env:2' }, []), 'env:2')
  t.equal(await addr({ REGISTRY_HTTP_ADDR: 'env:2' }, ['http.addr=line:3']), 'line:3')
  t.equal((await loadConfig({ environment: { REGISTRY_CONFIGURATION_PATH: path } })).config.http.addr, 'file:1')
  for (const setting of ['http.addr', '=x', 'http.nothing=1', '']) {
    t.same(await refusal(loadConfig({ environment: {}, settings: [setting] })), [`--set ${setting}: key=value is needed, with a key such as http.addr`])
  }
})

t.test('the complete configuration is shown with the origin of every value, secrets masked', async t => {
  const { config, origins } = await load(t, 'version: 0.1\nstorage: inmemory\nhttp:\n  secret: hush\n  headers: {X-A: [b]}\nnotifications: {endpoints: [{name: n, disabled: true}]}\n', { REGISTRY_LOG_LEVEL: 'warn' })
  const text = effectiveConfig(config, origins).replaceAll(/# \/\S*(config\.yml)/g, '# $1')
  for (const line of ['  secret: "***"  # config.yml:4', '    X-A: ["b"]  # config.yml:5', '  level: "warn"  # REGISTRY_LOG_LEVEL', '  addr: "127.0.0.1:5000"  # default', '    - name: "n"  # config.yml:6']) {
    t.ok(text.split('\n').includes(line), `${line}\n${text}`)
  }
  t.notMatch(text, /hush/)
})
