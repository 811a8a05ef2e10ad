import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { alone } from '../services/workers/workers.js'
import type { Workers } from '../services/workers/workers.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** The processes that serve together with this one. */
    ociWorkers: Workers
  }
}

export interface WorkersPluginOptions {
  /** Of the standalone server, when it has several processes. */
  readonly workers?: Workers | undefined
}

async function workersPlugin (fastify: FastifyInstance, { workers = alone() }: WorkersPluginOptions): Promise<void> {
  fastify.decorate('ociWorkers', workers)
}

export default fp(workersPlugin, { name: 'oci-workers', fastify: '5.x' })
