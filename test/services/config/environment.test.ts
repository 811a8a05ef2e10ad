import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { loadConfig } from '../../../services/config/load.js'
import type { LoadedConfig } from '../../../services/config/load.js'

const FILE = `version: 0.1
storage:
  filesystem: {rootdirectory: /file}
  delete: {enabled: true}
http:
  headers: {X-Old: [a]}
notifications:
  endpoints:
    - {name: one, url: http://one, disabled: true}
`

async function load (t: Test, environment: NodeJS.ProcessEnv): Promise<LoadedConfig> {
  return await loadConfig({ file: join(t.testdir({ 'config.yml': FILE }), 'config.yml'), environment })
}

t.test('a variable sets the key of its name, made when it is missing; values are YAML', async t => {
  const { config, warnings } = await load(t, {
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/env',
    REGISTRY_STORAGE_DELETE_ENABLED: 'no',
    REGISTRY_STORAGE_MAINTENANCE_READONLY: '{enabled: true}',
    REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'inmemory',
    REGISTRY_LOG_LEVEL: 'debug',
    REGISTRY_HTTP_ADDR: '0.0.0.0:5001',
    REGISTRY_HTTP_SECRET: '0123',
    REGISTRY_VERSION: '0.1',
    HOME: '/root'
  })
  t.match(config, {
    storage: { filesystem: { rootdirectory: '/env' }, delete: { enabled: false }, maintenance: { readonly: { enabled: true } }, cache: { blobdescriptor: 'inmemory' } },
    log: { level: 'debug' },
    http: { addr: '0.0.0.0:5001', secret: '0123' }
  })
  t.same(warnings, [])
})

t.test('read-only mode can be switched on alone, whether or not there is a section for it', async t => {
  const { config } = await load(t, { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' })
  t.equal(config.storage.maintenance.readonly.enabled, true)
})

t.test('a part is replaced as a whole, and then filled', async t => {
  const { config } = await load(t, { REGISTRY_STORAGE: 'filesystem', REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/replaced' })
  t.match(config.storage, { filesystem: { rootdirectory: '/replaced' }, delete: { enabled: false } })
  t.match((await load(t, { REGISTRY_STORAGE: 'inmemory' })).config.storage, { inmemory: {} })
  t.equal((await load(t, { REGISTRY_STORAGE: '{inmemory: {}, delete: {enabled: true}}' })).config.storage.delete.enabled, true)
})

t.test('a second driver is refused by name, not by a crash', async t => {
  await t.rejects(load(t, { REGISTRY_STORAGE_S3_BUCKET: 'b' }), { message: /^storage: exactly one driver is needed, got filesystem and s3$/m })
})

t.test('lists are edited and grown by index; a gap is an error', async t => {
  const { config } = await load(t, {
    REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL: 'http://changed',
    REGISTRY_NOTIFICATIONS_ENDPOINTS_1_NAME: 'two',
    REGISTRY_NOTIFICATIONS_ENDPOINTS_1_DISABLED: 'true',
    REGISTRY_HTTP_TLS_CLIENTCAS_0: '/ca.pem',
    REGISTRY_HTTP_TLS_CIPHERSUITES: '[a, b]'
  })
  t.match(config.notifications.endpoints, [{ name: 'one', url: 'http://changed' }, { name: 'two' }])
  t.same(config.http.tls?.clientcas, ['/ca.pem'])
  t.same(config.http.tls?.ciphersuites, ['a', 'b'])
  await t.rejects(load(t, { REGISTRY_NOTIFICATIONS_ENDPOINTS_3_NAME: 'x' }), { message: 'REGISTRY_NOTIFICATIONS_ENDPOINTS_3_NAME: undefined index 3: notifications.endpoints has 1 entries' })
})

t.test('maps take any key, an existing one whatever its case', async t => {
  const { config } = await load(t, { 'REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin': '["*"]', 'REGISTRY_HTTP_HEADERS_X-OLD': '[b]' })
  t.same(config.http.headers, { 'X-Old': ['b'], 'access-control-allow-origin': ['*'] })
  t.same((await load(t, { REGISTRY_HTTP_HEADERS: '{X-A: [b]}' })).config.http.headers, { 'X-A': ['b'] })
})

t.test('keys that have an underscore in their names can be reached', async t => {
  const { config } = await load(t, {
    REGISTRY_STORAGE: 'azure',
    REGISTRY_STORAGE_AZURE_ACCOUNTNAME: 'a',
    REGISTRY_STORAGE_AZURE_ACCOUNTKEY: 'aa==',
    REGISTRY_STORAGE_AZURE_CONTAINER: 'c',
    REGISTRY_STORAGE_AZURE_MAX_RETRIES: '3',
    REGISTRY_STORAGE_AZURE_COPY_STATUS_POLL_DELAY: '1s'
  })
  t.match(config.storage.azure, { max_retries: 3, copy_status_poll_delay: '1s' })
})

t.test('names from the code of docker\'s registry are understood beside those of its format', async t => {
  for (const name of ['EVENTCONFIG', 'EVENTS']) {
    t.equal((await load(t, { [`REGISTRY_NOTIFICATIONS_${name}_INCLUDEREFERENCES`]: 'true' })).config.notifications.events.includereferences, true)
  }
  for (const [name, key, subject] of [['FILECHECKERS', 'file', 'FILE'], ['HTTPCHECKERS', 'http', 'URI'], ['TCPCHECKERS', 'tcp', 'ADDR']] as const) {
    const variables = { [`REGISTRY_HEALTH_${name}_0_${subject}`]: 'http://a:1', [`REGISTRY_HEALTH_${name}_0_INTERVAL`]: '5s' }
    t.equal((await load(t, variables)).config.health[key][0]?.interval, '5s')
  }
  t.match((await load(t, { REGISTRY_REDIS_OPTIONS_ADDRS: '[a:1]' })).config.redis, { addrs: ['a:1'] })
  t.match((await load(t, { REGISTRY_REDIS_ADDRS: '[a:1]' })).config.redis, { addrs: ['a:1'] })
})

t.test('a secret is read from a file', async t => {
  const directory = t.testdir({ secret: 'from a file\n', 'config.yml': FILE })
  const loading = async (path: string): Promise<LoadedConfig> => await loadConfig({ file: join(directory, 'config.yml'), environment: { REGISTRY_HTTP_SECRET_FILE: path } })
  t.equal((await loading(join(directory, 'secret'))).config.http.secret, 'from a file')
  await t.rejects(loading('/nowhere'), { message: 'REGISTRY_HTTP_SECRET_FILE: cannot read /nowhere (ENOENT)' })
})

t.test('a variable that means nothing is a warning, never an error', async t => {
  const { warnings } = await load(t, { REGISTRY_PORT_5000_TCP: 'tcp://10.0.0.1:5000', REGISTRY_STORAGE_FILESYSTEM_NOTHING: 'x', REGISTRY_CONFIGURATION_PATH: '/x', REGISTRY_: 'x', REGISTRY_HTTP_ADDR_FILE_FILE: 'x' })
  t.same([...warnings].sort(), [
    'ignoring unrecognized environment variable REGISTRY_',
    'ignoring unrecognized environment variable REGISTRY_HTTP_ADDR_FILE_FILE',
    'ignoring unrecognized environment variable REGISTRY_PORT_5000_TCP',
    'ignoring unrecognized environment variable REGISTRY_STORAGE_FILESYSTEM_NOTHING'
  ])
})

t.test('a value that is no YAML is refused by the name of its variable', async t => {
  await t.rejects(load(t, { REGISTRY_LOG_FIELDS: '{a' }), { message: /^REGISTRY_LOG_FIELDS: / })
  await t.rejects(load(t, { REGISTRY_HTTP_RELATIVEURLS: 'perhaps' }), { message: 'http.relativeurls: true or false is needed, not "perhaps" (REGISTRY_HTTP_RELATIVEURLS)' })
})
