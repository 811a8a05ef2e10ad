import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** Headers of every answer of the API, errors included: its version, and what `http.headers` adds. */
async function headersPlugin (fastify: FastifyInstance): Promise<void> {
  const configured = Object.entries(fastify.ociConfig.http.headers)
    .map(([name, values]) => [name, values.length === 1 ? values[0] : values] as const)

  // In callback form: it runs for every request and awaits nothing.
  fastify.addHook('onRequest', (_request, reply, done) => {
    reply.header('docker-distribution-api-version', 'registry/2.0')
    for (const [name, value] of configured) reply.header(name, value)
    done()
  })
}

export default fp(headersPlugin, { name: 'oci-headers', fastify: '5.x', dependencies: ['oci-config'] })
