import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { AccessController, Authorize } from '../services/auth/access.js'
import { createAccessController, hostedController } from '../services/auth/create.js'
import { ConfigError } from '../services/errors/config-error.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociAuth: AccessController<FastifyRequest>
  }
}

export interface AuthPluginOptions {
  /** The host's own rules, in the place of configured ones. It stays the host's: it is not closed here. */
  readonly accessController?: AccessController<FastifyRequest> | Authorize<FastifyRequest> | undefined
}

async function authPlugin (fastify: FastifyInstance, { accessController }: AuthPluginOptions): Promise<void> {
  const { ociConfig: { auth = {} }, ociWorkers: workers, log } = fastify
  if (accessController !== undefined) {
    const configured = Object.keys(auth).find(name => name !== 'none')
    if (configured !== undefined) throw new ConfigError(`auth.${configured}: an accessController is given as well`)
    fastify.decorate('ociAuth', hostedController(accessController))
    return
  }
  const controller = await createAccessController(auth, { workers, log })
  fastify.decorate('ociAuth', controller)
  fastify.addHook('onClose', async () => { await controller.close?.() })
}

export default fp(authPlugin, { name: 'oci-auth', fastify: '5.x', dependencies: ['oci-config', 'oci-workers'] })
