import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { NO_REDIS, configuredCache } from '../services/cache/configured.js'
import { Descriptors } from '../services/cache/descriptors.js'
import { MemoryCache } from '../services/cache/memory.js'
import { RedisCache } from '../services/cache/redis.js'
import type { DescriptorCache } from '../services/cache/types.js'
import { ConfigError } from '../services/errors/config-error.js'
import { RedisUnavailable } from '../services/redis/connection.js'
import { TracedCache } from '../services/tracing/traced-cache.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Descriptors, remembered where the configuration says, or nowhere. */
    ociDescriptors: Descriptors
  }
}

async function descriptorsPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociWorkers: workers, ociTracing: tracing, log } = fastify
  const opened = openCache(fastify)
  const cache = opened === undefined || tracing === undefined ? opened : new TracedCache(opened, tracing)
  const descriptors = new Descriptors({ cache, workers, log, isReported: error => error instanceof RedisUnavailable })
  fastify.decorate('ociDescriptors', descriptors)
  if (descriptors.cache === undefined) return
  fastify.ociDebug.publish('cache', () => {
    const { requests, hits, misses, errors } = descriptors.stats()
    return { storage: { blobdescriptor: { Requests: requests, Hits: hits, Misses: misses, Errors: errors } } }
  })
}

function openCache ({ ociConfig, ociRedis }: FastifyInstance): DescriptorCache | undefined {
  const name = configuredCache(ociConfig)
  if (name === undefined) return undefined
  if (name === 'inmemory') return new MemoryCache(ociConfig.storage.cache.blobdescriptorsize)
  if (ociRedis === undefined) throw new ConfigError(NO_REDIS)
  return new RedisCache(ociRedis)
}

export default fp(descriptorsPlugin, { name: 'oci-descriptors', fastify: '5.x', dependencies: ['oci-config', 'oci-debug', 'oci-redis', 'oci-tracing', 'oci-workers'] })
