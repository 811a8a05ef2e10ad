import { Cluster, Redis } from 'ioredis'
import type { RedisLog } from './connection.js'
import { redisTarget } from './options.js'
import type { RedisConfig } from './options.js'

export type OwnRedisClient = Redis | Cluster

/** How long Redis may take to say good-bye. */
const QUIT_MS = 1000

/**
 * A client that connects in the background and keeps trying: the first failure is a warning, a connection is a line
 * with the time it took.
 *
 * @throws {ConfigError} when a file of `tls` cannot be read
 */
export function openRedis (config: RedisConfig, log: RedisLog): OwnRedisClient {
  const target = redisTarget(config)
  const started = performance.now()
  const client = target.kind === 'cluster' ? new Cluster([...target.nodes], target.options) : new Redis(target.options)
  let since = started
  let isReported = false
  client.on('connecting', () => { since = performance.now() })
  client.on('ready', () => {
    isReported = false
    log.info({ 'redis.connect.duration': `${(performance.now() - since).toFixed(3)}ms` }, 'connected to redis')
  })
  // Without a listener ioredis writes to the console.
  client.on('error', (error: Error) => {
    if (!isReported) log.warn({ err: error }, `cannot connect to redis, going on without it and trying again: ${reason(error)}`)
    isReported = true
  })
  return client
}

/** Connections that are open. */
export function connections (client: { readonly status: string }): number {
  if (client instanceof Cluster) return client.nodes().filter(node => isOpen(node.status)).length
  return isOpen(client.status) ? 1 : 0
}

/** Says good-bye where there is somebody to say it to, and closes in any case. */
export async function closeRedis (client: OwnRedisClient): Promise<void> {
  if (client.status !== 'ready') {
    client.disconnect()
    return
  }
  const timer = setTimeout(() => { client.disconnect() }, QUIT_MS)
  try {
    await client.quit()
  } catch {
    client.disconnect()
  } finally {
    clearTimeout(timer)
  }
}

function isOpen (status: string): boolean {
  return status === 'connect' || status === 'ready'
}

/** That of a connection to several addresses has no text of its own. */
function reason (error: Error): string {
  return error.message !== '' ? error.message : (error as NodeJS.ErrnoException).code ?? error.name
}
