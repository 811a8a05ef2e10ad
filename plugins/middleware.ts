import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { loadMiddleware } from '../services/middleware/load.js'
import type { LoadedMiddleware } from '../services/middleware/load.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** What is put in front of the driver, the namespace and each repository, innermost first. */
    ociMiddleware: LoadedMiddleware
  }
}

export interface MiddlewarePluginOptions {
  /** Functions of the host's: outside of what is configured. */
  readonly middleware?: Partial<LoadedMiddleware> | undefined
  /** What paths of modules are relative to. */
  readonly baseDirectory?: string | undefined
}

async function middlewarePlugin (fastify: FastifyInstance, { middleware = {}, baseDirectory = '.' }: MiddlewarePluginOptions): Promise<void> {
  const { storage, registry, repository } = await loadMiddleware({ base: baseDirectory, context: { log: fastify.log, config: fastify.ociConfig } })
  fastify.decorate('ociMiddleware', {
    storage: [...storage, ...middleware.storage ?? []],
    registry: [...registry, ...middleware.registry ?? []],
    repository: [...repository, ...middleware.repository ?? []]
  })
}

export default fp(middlewarePlugin, { name: 'oci-middleware', fastify: '5.x', dependencies: ['oci-config'] })
