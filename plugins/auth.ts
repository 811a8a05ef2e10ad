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
  fastify.decorate('ociAuth', accessController ?? await configuredController(fastify))
}

async function configuredController ({ ociConfig: { auth }, ociDebug, log }: FastifyInstance): Promise<AccessController> {
  if (auth?.token === undefined) return openAccess
  // Loaded when it is needed: the cryptography of tokens costs a tenth of the start.
  const { createTokenController } = await import('../services/auth/create-token.js')
  const { controller, verifier } = await createTokenController(auth.token, { warn: (message, error) => { log.warn({ err: error }, message) } })
  ociDebug.publish('token', () => verifier.state)
  return controller
}

export default fp(authPlugin, { name: 'oci-auth', fastify: '5.x', dependencies: ['oci-config', 'oci-debug'] })
