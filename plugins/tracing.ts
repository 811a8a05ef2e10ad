import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { registeredTracing } from '../services/tracing/registered.js'
import type { Tracing } from '../services/tracing/tracing.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined unless an OpenTelemetry SDK is registered in the process: who would trace does nothing then. */
    ociTracing: Tracing | undefined
  }
}

async function tracingPlugin (fastify: FastifyInstance): Promise<void> {
  fastify.decorate('ociTracing', await registeredTracing())
}

export default fp(tracingPlugin, { name: 'oci-tracing', fastify: '5.x' })
