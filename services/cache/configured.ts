import type { RegistryConfig } from '../../schemas/config/index.js'
import { isConfigured } from '../redis/options.js'

export type CacheName = 'inmemory' | 'redis'

/** The descriptor cache that is asked for, under its old or its new name. */
export function configuredCache ({ storage: { cache } }: RegistryConfig): CacheName | undefined {
  const name = cache.blobdescriptor ?? cache.layerinfo
  return name === 'inmemory' || name === 'redis' ? name : undefined
}

export function cacheWarnings ({ storage: { cache }, redis }: RegistryConfig): string[] {
  const { blobdescriptor, layerinfo, blobdescriptorsize } = cache
  const name = blobdescriptor ?? layerinfo
  const known = name === 'inmemory' || name === 'redis'
  return [
    ...(layerinfo === undefined ? [] : ['storage.cache.layerinfo: is the old name of storage.cache.blobdescriptor']),
    ...(name === undefined || known ? [] : [`storage.cache.blobdescriptor: unknown cache type ${JSON.stringify(name)}, caching disabled`]),
    ...(name === 'inmemory' && isConfigured(redis) ? ['storage.cache.blobdescriptor: inmemory is not told what other servers delete; where several share this redis it should be redis'] : []),
    ...(name === 'redis' && blobdescriptorsize !== 10000 ? ['storage.cache.blobdescriptorsize: is for inmemory and has no effect on redis'] : [])
  ]
}

export const NO_REDIS = 'storage.cache.blobdescriptor: redis is asked for, and redis.addr or redis.addrs is missing'
