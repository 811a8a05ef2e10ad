import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { masked } from '../services/config/schema-node.js'
import { RedisConnection } from '../services/redis/connection.js'
import type { RedisClient } from '../services/redis/connection.js'
import { isConfigured, redisLimits } from '../services/redis/options.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined when there is no Redis. */
    ociRedis: RedisConnection | undefined
  }
}

export interface RedisPluginOptions {
  /** A client the host has opened, for example with @fastify/redis. It stays the host's: it is not closed here. */
  readonly client?: RedisClient | undefined
}

/**
 * Redis is opened with ioredis itself: @fastify/redis lets the server wait until Redis answers, and neither starts nor
 * stops without it, and Redis is something this registry can do without.
 */
async function redisPlugin (fastify: FastifyInstance, { client }: RedisPluginOptions): Promise<void> {
  const { log, ociConfig: { redis: config } } = fastify
  const own = client === undefined && isConfigured(config) ? config : undefined
  if (client === undefined && own === undefined) {
    fastify.decorate('ociRedis', undefined)
    return
  }
  const { closeRedis, connections, openRedis } = await import('../services/redis/open.js')
  const opened = own === undefined ? undefined : openRedis(own, log)
  const used = client ?? opened
  const connection = used === undefined ? undefined : new RedisConnection({ client: used, ...redisLimits(config), log, isWatched: opened !== undefined })
  fastify.decorate('ociRedis', connection)
  if (used !== undefined) fastify.ociDebug.publish('redis', () => ({ Config: masked(config ?? {}), Active: connections(used) }))
  fastify.addHook('onClose', async () => {
    connection?.close()
    if (opened !== undefined) await closeRedis(opened)
  })
}

export default fp(redisPlugin, { name: 'oci-redis', fastify: '5.x', dependencies: ['oci-config', 'oci-debug'] })
