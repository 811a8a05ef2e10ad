import { once } from 'node:events'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { configuredCache } from '../cache/configured.js'
import { RedisCache } from '../cache/redis.js'
import type { Log } from '../maintenance/log.js'
import type { Digest } from '../reference/reference.js'
import { RedisConnection } from '../redis/connection.js'
import { closeRedis, openRedis } from '../redis/open.js'
import { isConfigured, redisLimits } from '../redis/options.js'

/** How long a command waits for Redis before it goes on without it. */
const CONNECT_MS = 2000

/** The descriptors that servers on this storage share, for a command that takes content away. */
export interface SharedCache extends AsyncDisposable {
  readonly forget: (digest: Digest) => Promise<void>
}

/** For a command that takes nothing away. */
export const NO_SHARED_CACHE: SharedCache = { forget: async () => {}, [Symbol.asyncDispose]: async () => {} }

/**
 * The cache in Redis, if the configuration has one. What cannot be told is one warning, not
 * the end: content that is gone and remembered is found out when somebody reads it.
 *
 * @throws {ConfigError} when a file of `redis.tls` cannot be read
 */
export async function openSharedCache (config: RegistryConfig, log: Log): Promise<SharedCache> {
  if (configuredCache(config) !== 'redis' || !isConfigured(config.redis)) return NO_SHARED_CACHE
  const client = openRedis(config.redis, log)
  const connection = new RedisConnection({ client, ...redisLimits(config.redis), log, isWatched: true })
  const cache = new RedisCache(connection)
  const isReady = client.status === 'ready' || await once(client, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) }).then(() => true, () => false)
  let isTold = isReady
  const complain = (): void => { log.warn('redis could not be told what is gone: flush it, or its servers go on saying that this is there') }
  if (!isReady) complain()
  return {
    forget: async digest => {
      if (!isTold) return
      try {
        await cache.clear(digest)
      } catch {
        isTold = false
        complain()
      }
    },
    [Symbol.asyncDispose]: async () => {
      connection.close()
      await closeRedis(client)
    }
  }
}
