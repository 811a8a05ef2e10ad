import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { openAccess } from '../services/auth/access.js'
import type { AccessController, Authorize } from '../services/auth/access.js'
import { createAccessController, hostedController } from '../services/auth/create.js'
import type { TokenServer } from '../services/auth/token-server.js'
import { ConfigError } from '../services/errors/config-error.js'
import { TracedAccess } from '../services/tracing/traced-access.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociAuth: AccessController<FastifyRequest>
    /** Hands out the tokens that {@link ociAuth} takes; null where the registry has no token server of its own. */
    ociTokenServer: TokenServer | null
  }
}

export interface AuthPluginOptions {
  /** The host's own rules, in the place of configured ones. It stays the host's: it is not closed here. */
  readonly accessController?: AccessController<FastifyRequest> | Authorize<FastifyRequest> | undefined
}

async function authPlugin (fastify: FastifyInstance, { accessController }: AuthPluginOptions): Promise<void> {
  const { ociConfig: { auth = {}, http: { host } }, ociWorkers: workers, ociDebug: debug, ociTracing: tracing, log, prefix } = fastify
  // Where everybody may do everything nobody is asked.
  const traced = (controller: AccessController<FastifyRequest>): AccessController<FastifyRequest> =>
    tracing === undefined || controller === openAccess ? controller : new TracedAccess(controller, tracing)
  if (accessController !== undefined) {
    const configured = Object.keys(auth).find(name => name !== 'none')
    if (configured !== undefined) throw new ConfigError(`auth.${configured}: an accessController is given as well`)
    fastify.decorate('ociAuth', traced(hostedController(accessController))).decorate('ociTokenServer', null)
    return
  }
  const controller = await createAccessController(auth, { workers, log, debug, prefix, host, tracing })
  fastify.decorate('ociAuth', traced(controller)).decorate('ociTokenServer', controller.tokenServer ?? null)
  fastify.addHook('onClose', async () => { await controller.close?.() })
}

export default fp(authPlugin, { name: 'oci-auth', fastify: '5.x', dependencies: ['oci-config', 'oci-debug', 'oci-tracing', 'oci-workers'] })
