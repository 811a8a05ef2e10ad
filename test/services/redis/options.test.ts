import t from 'tap'
import type { Test } from 'tap'
import { configSchema } from '../../../schemas/config/index.js'
import { ConfigError } from '../../../services/errors/config-error.js'
import { loadConfig } from '../../../services/config/load.js'
import { parseConfig } from '../../../services/config/parse.js'
import { configWarnings } from '../../../services/config/supported.js'
import { isConfigured, redisLimits, redisTarget } from '../../../services/redis/options.js'
import type { RedisConfig } from '../../../services/redis/options.js'

type Input = Partial<RedisConfig>

function parsed (redis: Input): RedisConfig {
  const config = parseConfig({ storage: { inmemory: {} }, redis }).redis
  if (config === undefined) throw new Error('no redis')
  return config
}

function problems (t: Test, redis: object): readonly string[] {
  try {
    parseConfig({ storage: { inmemory: {} }, redis })
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
  t.fail('nothing is wrong')
  return []
}

t.test('the shape of registry 2: one server, its database, timeouts and pool', async t => {
  const config = parsed({
    addr: 'redis.example:6380', password: '0123', db: 3, dialtimeout: '10ms', readtimeout: '20ms', writetimeout: '30ms', pool: { maxidle: 16, maxactive: 64, idletimeout: '300s' }
  })
  const target = redisTarget(config)
  t.equal(target.kind, 'single')
  t.match(target.options, { host: 'redis.example', port: 6380, password: '0123', db: 3, connectTimeout: 10, enableOfflineQueue: false, maxRetriesPerRequest: 0, protocol: 2 })
  t.same(redisLimits(config), { timeoutMs: 30, maxActive: 64 })
})

t.test('the shape of registry 3: one server, a cluster, or sentinels', async t => {
  t.match(redisTarget(parsed({ addrs: ['redis:6379'], username: 'u', password: 'p', clientname: 'registry', protocol: 3, disableidentity: true })), {
    kind: 'single', options: { host: 'redis', port: 6379, username: 'u', password: 'p', connectionName: 'registry', protocol: 3, disableClientInfo: true }
  })
  const cluster = redisTarget(parsed({ addrs: ['a:1', '[::1]:2', 'c'], password: 'p', maxredirects: 5, db: 2, readonly: true }))
  t.match(cluster, {
    kind: 'cluster',
    nodes: [{ host: 'a', port: 1 }, { host: '::1', port: 2 }, { host: 'c', port: 6379 }],
    options: { maxRedirections: 5, enableOfflineQueue: false, scaleReads: 'master', redisOptions: { password: 'p' } }
  })
  t.notMatch(cluster, { options: { redisOptions: { db: 2 } } })
  t.match(redisTarget(parsed({ addrs: ['s1:26379', 's2:26379'], mastername: 'm', sentinelusername: 'su', sentinelpassword: 'sp', password: 'p', db: 1 })), {
    kind: 'single',
    options: { name: 'm', sentinels: [{ host: 's1', port: 26379 }, { host: 's2', port: 26379 }], sentinelUsername: 'su', sentinelPassword: 'sp', password: 'p', db: 1 }
  })
})

t.test('addresses', async t => {
  for (const [addr, expected] of [
    [':6379', { host: 'localhost', port: 6379 }], ['127.0.0.1:1', { host: '127.0.0.1', port: 1 }], ['[fe80::1]:2', { host: 'fe80::1', port: 2 }],
    ['/run/redis.sock', { path: '/run/redis.sock' }], ['redis', { host: 'redis', port: 6379 }]
  ] as const) t.match(redisTarget(parsed({ addr })).options, expected)
  for (const addr of ['', 'a:b', 'a:70000', 'a b:1', 'http://redis:6379']) {
    t.same(problems(t, { addr }), [`redis.addr: host:port is needed, not ${JSON.stringify(addr)}`])
  }
  t.same(problems(t, { addrs: ['a:1', 'b:x'] }), ['redis.addrs[1]: host:port is needed, not "b:x"'])
})

t.test('TLS, for servers and for sentinels', async t => {
  const directory = t.testdir({ 'cert.pem': 'cert', 'key.pem': 'key', 'ca.pem': 'ca' })
  const [certificate, key, ca] = ['cert', 'key', 'ca'].map(name => `${directory}/${name}.pem`) as [string, string, string]
  const files = { cert: Buffer.from('cert'), key: Buffer.from('key'), ca: [Buffer.from('ca')] }
  t.match(redisTarget(parsed({ addr: 'a:1', tls: { enabled: false, certificate, key, rootcas: [ca] } })).options, { tls: files })
  t.match(redisTarget(parsed({ addrs: ['a:1'], mastername: 'm', tls: { enabled: false, rootcas: [ca] } })).options, { tls: { ca: files.ca }, sentinelTLS: { ca: files.ca }, enableTLSForSentinelMode: true })
  t.match(redisTarget(parsed({ addrs: ['a:1', 'b:1'], tls: { enabled: false, certificate, key, rootcas: [] } })).options, { redisOptions: { tls: { cert: files.cert } } })
  t.match(redisTarget(parsed({ addr: 'a:1', tls: { enabled: true, rootcas: [] } })).options, { tls: {} })
  t.notMatch(redisTarget(parsed({ addr: 'a:1', tls: { enabled: false, rootcas: [] } })).options, { tls: Object })
  const half = parsed({ addr: 'a:1', tls: { enabled: false, certificate, rootcas: [] } })
  t.notMatch(redisTarget(half).options, { tls: Object })
  t.throws(() => redisTarget(parsed({ addr: 'a:1', tls: { enabled: false, rootcas: ['/nowhere'] } })), { name: 'ConfigError', message: 'redis.tls.rootcas[0]: cannot read /nowhere (ENOENT)' })
})

t.test('both shapes at once, and sentinels without an address, are mistakes that say so', async t => {
  const both = (old: string): string => `redis: ${old} is the shape of registry 2 and addrs that of registry 3; one of them is needed`
  t.same(problems(t, { addr: 'a:1', addrs: ['b:1'] }), [both('addr')])
  t.same(problems(t, { pool: {}, addrs: ['b:1'] }), [both('pool')])
  t.same(problems(t, { mastername: 'm' }), ['redis.mastername: the sentinels that know it are needed in redis.addrs'])
  t.same(problems(t, { adr: 'a:1' }), ['redis.adr: there is no such key; did you mean redis.addr?'])
})

t.test('what is accepted and not done is said', async t => {
  const warnings = (redis: Input): string[] => configWarnings(parseConfig({ storage: { inmemory: {} }, redis }))
  t.same(warnings({ addrs: ['a:1', 'b:1'], db: 3 }), ['redis.db: a cluster has only database 0'])
  t.same(warnings({ addr: 'a:1', tls: { enabled: false, key: 'k', rootcas: [] } }), ['redis.tls: certificate and key belong together; going on without them'])
  t.same(warnings({ addr: 'a:1', db: 3 }), [])
})

t.test('limits: the longer timeout, the size of the pool, and defaults for nothing, 0 and less', async t => {
  t.same(redisLimits(undefined), { timeoutMs: 250, maxActive: 1000 })
  t.same(redisLimits(parsed({ readtimeout: '0s', writetimeout: '-1ns', pool: { maxactive: 0 } })), { timeoutMs: 250, maxActive: 1000 })
  t.same(redisLimits(parsed({ readtimeout: '3s', poolsize: 10 })), { timeoutMs: 3000, maxActive: 10 })
  t.same(redisLimits(parsed({ writetimeout: '500', maxactiveconns: 7, poolsize: 10 })), { timeoutMs: 1, maxActive: 7 })
})

t.test('connecting again takes longer each time, within bounds', async t => {
  const pauses = (redis: Input): unknown[] => [1, 3, 100].map(times => (redisTarget(parsed({ addr: 'a:1', ...redis })).options as { retryStrategy: (times: number) => number }).retryStrategy(times))
  t.same(pauses({}), [100, 400, 2000])
  t.same(pauses({ minretrybackoff: '8ms', maxretrybackoff: '512ms' }), [16, 64, 512])
})

t.test('from the environment, in both forms of its names', async t => {
  const load = async (environment: NodeJS.ProcessEnv): Promise<RedisConfig | undefined> => (await loadConfig({ environment })).config.redis
  t.match(await load({ REGISTRY_REDIS_ADDR: 'a:1', REGISTRY_REDIS_PASSWORD: '0123', REGISTRY_REDIS_DB: '2', REGISTRY_REDIS_POOL_MAXACTIVE: '5', REGISTRY_REDIS_READTIMEOUT: '10ms' }),
    { addr: 'a:1', password: '0123', db: 2, pool: { maxactive: 5 }, readtimeout: '10ms' })
  for (const environment of [
    { REGISTRY_REDIS_ADDRS: '[a:1, b:2]' }, { REGISTRY_REDIS_OPTIONS_ADDRS: '[a:1, b:2]' }, { REGISTRY_REDIS_ADDRS_0: 'a:1', REGISTRY_REDIS_ADDRS_1: 'b:2' },
    { REGISTRY_REDIS_OPTIONS_ADDRS_0: 'a:1', REGISTRY_REDIS_OPTIONS_ADDRS_1: 'b:2' }
  ]) t.match(await load(environment), { addrs: ['a:1', 'b:2'] })
  t.match(await load({ REGISTRY_REDIS_ADDRS: '[a:1]', REGISTRY_REDIS_MASTERNAME: 'm', REGISTRY_REDIS_TLS_ROOTCAS: '[/ca]' }), { mastername: 'm', tls: { rootcas: ['/ca'] } })
})

t.test('without an address there is no Redis', async t => {
  t.notOk(isConfigured(undefined))
  t.notOk(isConfigured(parsed({ password: 'p' })))
  t.notOk(isConfigured(parsed({ addrs: [] })))
  t.ok(isConfigured(parsed({ addr: 'a:1' })))
})

t.test('every key of the two shapes is known, with what it does', async t => {
  for (const [key, { description }] of Object.entries(configSchema.properties.redis.properties)) t.match(description, /\.$/, key)
})
