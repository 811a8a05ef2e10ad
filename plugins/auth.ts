import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { AccessController } from '../services/auth/access.js'
import { openAccess } from '../services/auth/access.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociAuth: AccessController
  }
}

export interface AuthPluginOptions {
  /** The host's own rules. Without, everybody may do everything. */
  readonly accessController?: AccessController | undefined
}

async function authPlugin (fastify: FastifyInstance, { accessController }: AuthPluginOptions): Promise<void> {
  fastify.decorate('ociAuth', accessController ?? openAccess)
}

export default fp(authPlugin, { name: 'oci-auth', fastify: '5.x', dependencies: ['oci-config'] })
