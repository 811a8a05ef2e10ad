import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createDriver } from '../services/storage/create.js'
import type { StorageDriver } from '../services/storage/driver.js'
import { guarded } from '../services/storage/guarded.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociDriver: StorageDriver
  }
}

export interface StoragePluginOptions {
  /** A driver the host has opened. It stays the host's: it is not closed here. */
  readonly driver?: StorageDriver | undefined
}

async function storagePlugin (fastify: FastifyInstance, { driver }: StoragePluginOptions): Promise<void> {
  const opened = driver ?? await createDriver(fastify.ociConfig.storage)
  fastify.decorate('ociDriver', guarded(opened))
  if (driver === undefined) fastify.addHook('onClose', async () => { await opened.close() })
}

export default fp(storagePlugin, { name: 'oci-storage', fastify: '5.x', dependencies: ['oci-config'] })
