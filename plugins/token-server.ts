import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import errorsPlugin from './errors.js'
import headersPlugin from './headers.js'
import requestTracingPlugin from './request-tracing.js'
import validationPlugin from './validation.js'
import tokenRoutes from '../routes/token.js'

/** The token server's own routes, where there is one: beside the API, and in a scope of their own as it is. */
async function tokenServerPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociTokenServer: server, ociConfig: { auth } } = fastify
  const { tokenserver, realm } = auth?.htpasswd ?? {}
  if (server === null || tokenserver === undefined || realm === undefined) return
  await fastify.register(async function tokens (scope) {
    await scope.register(requestTracingPlugin)
    await scope.register(errorsPlugin)
    await scope.register(validationPlugin)
    await scope.register(headersPlugin)
    await scope.register(tokenRoutes, { path: tokenserver.path, server, realm })
  })
  // Nobody waits for it: whoever needs it later asks again.
  fastify.addHook('onReady', done => {
    server.prepare().catch((err: unknown) => { fastify.log.warn({ err }, 'the key of the token server is not there yet') })
    done()
  })
}

export default fp(tokenServerPlugin, { name: 'oci-token-server', fastify: '5.x', dependencies: ['oci-config', 'oci-auth', 'oci-tracing'] })
