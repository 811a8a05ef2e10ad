import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { loadConfig } from '../../../services/config/load.js'
import type { LoadedConfig } from '../../../services/config/load.js'

// What operators of docker's registry have: the configurations its images and its sources come with, and the variables
// that its documentation tells them to set.

const REGISTRY_2 = `
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`

const REGISTRY_3 = `
version: 0.1
log:
  level: debug
  fields:
    service: registry
storage:
  filesystem:
    rootdirectory: /var/lib/registry
  delete:
    enabled: true
  tag:
    concurrencylimit: 5
  cache:
    blobdescriptor: inmemory
http:
  addr: :5000
  debug:
    addr: :5001
    prometheus:
      enabled: true
      path: /metrics
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`

const DEVELOPMENT = `
version: 0.1
log:
  level: debug
  fields: {service: registry, environment: development}
  hooks:
    - type: mail
      disabled: true
      levels: [panic]
      options:
        smtp: {addr: "mail.example.com:25", username: user, password: password, insecure: true}
        from: sender@example.com
        to: [receiver@example.com]
storage:
  delete: {enabled: true}
  cache: {blobdescriptor: redis}
  filesystem: {rootdirectory: /var/lib/registry}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: :5000
  debug: {addr: ":5001", prometheus: {enabled: true, path: /metrics}}
  headers: {X-Content-Type-Options: [nosniff]}
redis:
  addr: localhost:6379
  pool: {maxidle: 16, maxactive: 64, idletimeout: 300s}
  dialtimeout: 10ms
notifications:
  events: {includereferences: true}
  endpoints:
    - name: local
      url: http://localhost:5003/callback
      headers: {Authorization: [Bearer secret]}
      timeout: 1s
      threshold: 10
      backoff: 1s
      disabled: true
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
`

const MINIMAL = `
version: 0.1
storage: inmemory
`

async function load (t: Test, content: string, environment: NodeJS.ProcessEnv = {}): Promise<LoadedConfig> {
  return await loadConfig({ file: join(t.testdir({ 'config.yml': content }), 'config.yml'), environment, strict: true })
}

t.test('the configurations that docker\'s registry comes with are taken as they are', async t => {
  for (const [name, content] of Object.entries({ REGISTRY_2, REGISTRY_3, DEVELOPMENT, MINIMAL })) {
    await t.test(name, async t => {
      const { config, warnings } = await load(t, content)
      t.equal(config.version, '0.1')
      t.same(warnings, [])
    })
  }
})

t.test('the variables that are documented are understood', async t => {
  const recipes: Array<[NodeJS.ProcessEnv, object]> = [
    [{ REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/data' }, { storage: { filesystem: { rootdirectory: '/data' } } }],
    [{ REGISTRY_STORAGE_DELETE_ENABLED: 'true' }, { storage: { delete: { enabled: true } } }],
    [{ REGISTRY_STORAGE: 's3', REGISTRY_STORAGE_S3_BUCKET: 'b', REGISTRY_STORAGE_S3_REGION: 'eu-west-1', REGISTRY_STORAGE_S3_CHUNKSIZE: '5242880', REGISTRY_STORAGE_S3_SECURE: 'true' }, { storage: { s3: { bucket: 'b', region: 'eu-west-1', chunksize: 5242880, secure: true } } }],
    [{ REGISTRY_STORAGE: 'azure', REGISTRY_STORAGE_AZURE_ACCOUNTNAME: 'a', REGISTRY_STORAGE_AZURE_ACCOUNTKEY: 'aa==', REGISTRY_STORAGE_AZURE_CONTAINER: 'c' }, { storage: { azure: { accountname: 'a', accountkey: 'aa==', container: 'c', realm: 'core.windows.net' } } }],
    [{ REGISTRY_STORAGE: 'gcs', REGISTRY_STORAGE_GCS_BUCKET: 'b', REGISTRY_STORAGE_GCS_KEYFILE: '/key.json', REGISTRY_STORAGE_GCS_CHUNKSIZE: '5242880' }, { storage: { gcs: { bucket: 'b', keyfile: '/key.json', chunksize: 5242880 } } }],
    [{ REGISTRY_HTTP_ADDR: '0.0.0.0:80' }, { http: { addr: '0.0.0.0:80' } }],
    [{ REGISTRY_HTTP_TLS_CERTIFICATE: '/certs/domain.crt', REGISTRY_HTTP_TLS_KEY: '/certs/domain.key' }, { http: { tls: { certificate: '/certs/domain.crt', key: '/certs/domain.key' } } }],
    [{ REGISTRY_HTTP_HOST: 'https://registry.example.com', REGISTRY_HTTP_RELATIVEURLS: 'true' }, { http: { host: 'https://registry.example.com', relativeurls: true } }],
    [{ 'REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin': '[\'https://ui.example.com\']' }, { http: { headers: { 'access-control-allow-origin': ['https://ui.example.com'] } } }],
    [{ REGISTRY_LOG_LEVEL: 'warn', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true', REGISTRY_LOG_FORMATTER: 'json' }, { log: { level: 'warn', accesslog: { disabled: true }, formatter: 'json' } }],
    [{ REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR: 'redis', REGISTRY_REDIS_ADDR: 'redis:6379' }, { storage: { cache: { blobdescriptor: 'redis' } }, redis: { addr: 'redis:6379' } }],
    [{ REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING: '{enabled: false}' }, { storage: { maintenance: { uploadpurging: { enabled: false } } } }],
    [{ REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_REALM: 'realm', REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd' }, { auth: { htpasswd: { realm: 'realm', path: '/auth/htpasswd' } } }],
    [{ REGISTRY_VALIDATION_DISABLED: 'true' }, { validation: { disabled: true } }],
    [{ REGISTRY_HEALTH_STORAGEDRIVER_ENABLED: 'false' }, { health: { storagedriver: { enabled: false } } }]
  ]
  for (const [environment, expected] of recipes) {
    await t.test(Object.keys(environment).join(' '), async t => {
      const { config, warnings } = await load(t, REGISTRY_2, environment)
      t.match(config, expected)
      t.same(warnings, [])
    })
  }
})

t.test('variables for what is not built yet are refused by the key, not passed over', async t => {
  const recipes: Array<[NodeJS.ProcessEnv, string]> = [
    [{ REGISTRY_PROXY_REMOTEURL: 'https://registry-1.docker.io' }, 'proxy.remoteurl: is not supported yet']
  ]
  for (const [environment, message] of recipes) await t.rejects(load(t, REGISTRY_2, environment), { message })
})
