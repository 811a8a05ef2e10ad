import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { configuredHeaders } from '../services/http/configured-headers.js'

/** Headers of every answer of the API, errors included: its version, and what `http.headers` adds. */
async function headersPlugin (fastify: FastifyInstance): Promise<void> {
  const configured = configuredHeaders(fastify.ociConfig.http.headers)

  // In callback form: it runs for every request and awaits nothing.
  fastify.addHook('onRequest', ({ raw }, reply, done) => {
    reply.header('docker-distribution-api-version', 'registry/2.0')
    for (const [name, value] of configured(raw.httpVersionMajor)) reply.header(name, value)
    done()
  })
}

export default fp(headersPlugin, { name: 'oci-headers', fastify: '5.x', dependencies: ['oci-config'] })
