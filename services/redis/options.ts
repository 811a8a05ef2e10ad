import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { ClusterOptions as AnyClusterOptions, RedisOptions as AnyRedisOptions } from 'ioredis'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { parseDuration } from '../config/duration.js'
import { ConfigError } from '../errors/config-error.js'

type RedisOptions = Omit<AnyRedisOptions, 'replyMapping'>
type ClusterOptions = Omit<AnyClusterOptions, 'redisOptions'> & { readonly redisOptions: Omit<RedisOptions, 'host' | 'port' | 'path' | 'sentinels' | 'retryStrategy' | 'enableOfflineQueue' | 'readOnly' | 'himportFieldsets'> }

export type RedisConfig = NonNullable<RegistryConfig['redis']>

type Endpoint = { readonly host: string, readonly port: number } | { readonly path: string }

/** What to connect to, and how. */
export type RedisTarget =
  | { readonly kind: 'single', readonly options: RedisOptions }
  | { readonly kind: 'cluster', readonly nodes: ReadonlyArray<{ host: string, port: number }>, readonly options: ClusterOptions }

export interface RedisLimits { readonly timeoutMs: number, readonly maxActive: number }

const DIAL_MS = 5000
const TIMEOUT_MS = 250
const MAX_ACTIVE = 1000
const MIN_BACKOFF_MS = 50
const MAX_BACKOFF_MS = 2000
const DEFAULT_PORT = 6379

/** Whether there is anything to connect to. */
export function isConfigured (config: RedisConfig | undefined): config is RedisConfig {
  return config?.addr !== undefined || (config?.addrs ?? []).length > 0
}

/** Mistakes that no single key has. One line each. */
export function redisProblems (config: RedisConfig | undefined): string[] {
  if (config === undefined) return []
  const { addr, addrs, pool, mastername } = config
  const both = (old: string, recent: string): string => `redis: ${old} is the shape of registry 2 and ${recent} that of registry 3; one of them is needed`
  return [
    ...(addr !== undefined && addrs !== undefined ? [both('addr', 'addrs')] : []),
    ...(pool !== undefined && addrs !== undefined ? [both('pool', 'addrs')] : []),
    ...(mastername !== undefined && (addrs ?? []).length === 0 ? ['redis.mastername: the sentinels that know it are needed in redis.addrs'] : []),
    ...[...(addr === undefined ? [] : [['redis.addr', addr] as const]), ...(addrs ?? []).map((text, i) => [`redis.addrs[${i}]`, text] as const)]
      .filter(([, text]) => endpoint(text) === undefined)
      .map(([key, text]) => `${key}: host:port is needed, not ${JSON.stringify(text)}`)
  ]
}

/** What is asked for and is not done. One line each. */
export function redisWarnings (config: RedisConfig | undefined): string[] {
  if (config === undefined) return []
  const { tls, db } = config
  return [
    ...((tls?.certificate === undefined) === (tls?.key === undefined) ? [] : ['redis.tls: certificate and key belong together; going on without them']),
    ...(isCluster(config) && (db ?? 0) !== 0 ? ['redis.db: a cluster has only database 0'] : [])
  ]
}

/** @throws {ConfigError} when a file of `tls` cannot be read */
export function redisTarget (config: RedisConfig): RedisTarget {
  const tls = tlsOptions(config)
  const options = commonOptions(config, tls)
  const endpoints = (config.addrs ?? [config.addr ?? '']).map(text => endpoint(text)).filter(found => found !== undefined)
  if (config.mastername !== undefined) return { kind: 'single', options: { ...options, ...sentinelOptions(config, hosts(endpoints), tls), ...database(config) } }
  if (!isCluster(config)) return { kind: 'single', options: { ...options, ...endpoints[0], ...database(config) } }
  const { retryStrategy, enableOfflineQueue: _, ...redisOptions } = options
  return {
    kind: 'cluster',
    nodes: hosts(endpoints),
    options: {
      redisOptions,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryStrategy as (times: number) => number,
      maxRedirections: config.maxredirects ?? 3,
      scaleReads: 'master'
    }
  }
}

export function redisLimits (config: RedisConfig | undefined): RedisLimits {
  const timeouts = [config?.readtimeout, config?.writetimeout].map(text => milliseconds(text)).filter(ms => ms !== undefined)
  const limit = config?.pool?.maxactive ?? config?.maxactiveconns ?? config?.poolsize ?? 0
  return { timeoutMs: timeouts.length === 0 ? TIMEOUT_MS : Math.max(...timeouts), maxActive: limit > 0 ? limit : MAX_ACTIVE }
}

function isCluster ({ addrs, mastername }: RedisConfig): boolean {
  return mastername === undefined && (addrs ?? []).length > 1
}

function commonOptions (config: RedisConfig, tls: ConnectionOptions | undefined): RedisOptions {
  const { username, password, clientname, protocol, dialtimeout, disableidentity } = config
  const min = milliseconds(config.minretrybackoff) ?? MIN_BACKOFF_MS
  const max = milliseconds(config.maxretrybackoff) ?? MAX_BACKOFF_MS
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(clientname === undefined ? {} : { connectionName: clientname }),
    ...(tls === undefined ? {} : { tls }),
    protocol: protocol === 3 ? 3 : 2,
    connectTimeout: milliseconds(dialtimeout) ?? DIAL_MS,
    disableClientInfo: disableidentity ?? false,
    // What cannot be sent at once fails at once; nothing is sent twice, nothing is kept for later.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: times => Math.min(max, min * 2 ** Math.min(times, 16))
  }
}

function sentinelOptions ({ mastername = '', sentinelusername, sentinelpassword }: RedisConfig, sentinels: Array<{ host: string, port: number }>, tls: ConnectionOptions | undefined): RedisOptions {
  return {
    name: mastername,
    sentinels,
    ...(sentinelusername === undefined ? {} : { sentinelUsername: sentinelusername }),
    ...(sentinelpassword === undefined ? {} : { sentinelPassword: sentinelpassword }),
    ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true })
  }
}

function database ({ db }: RedisConfig): RedisOptions {
  return db === undefined ? {} : { db }
}

/** As in the reference: TLS when there is something to say about it. */
function tlsOptions ({ tls }: RedisConfig): ConnectionOptions | undefined {
  const { certificate, key, rootcas = [], enabled = false } = tls ?? {}
  const own = certificate !== undefined && key !== undefined
  if (!own && rootcas.length === 0 && !enabled) return undefined
  return {
    ...(own ? { cert: file('redis.tls.certificate', certificate), key: file('redis.tls.key', key) } : {}),
    ...(rootcas.length === 0 ? {} : { ca: rootcas.map((path, i) => file(`redis.tls.rootcas[${i}]`, path)) })
  }
}

function file (key: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new ConfigError(`${key}: cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, { cause: error })
  }
}

/** `host:port`, `[::1]:port`, a host alone, `:port` for this machine, or the path of a socket. */
function endpoint (text: string): Endpoint | undefined {
  if (text.startsWith('/')) return { path: text }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]*))(?::(\d{1,5}))?$/.exec(text)
  const port = Number(match?.[3] ?? DEFAULT_PORT)
  if (match === null || text === '' || port > 65535) return undefined
  const host = match[1] ?? match[2] ?? ''
  return { host: host === '' ? 'localhost' : host, port }
}

function hosts (endpoints: readonly Endpoint[]): Array<{ host: string, port: number }> {
  return endpoints.filter(found => 'host' in found)
}

/** Undefined for 0 and less, which mean the default in the reference. */
function milliseconds (text: string | undefined): number | undefined {
  const ms = text === undefined ? 0 : parseDuration(text)
  return ms > 0 ? Math.max(1, Math.min(Math.round(ms), 2 ** 31 - 1)) : undefined
}
