import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { DebugVariables } from '../services/debug/variables.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Where each concern publishes what an operator may look at. */
    ociDebug: DebugVariables
  }
}

async function debugPlugin (fastify: FastifyInstance): Promise<void> {
  fastify.decorate('ociDebug', new DebugVariables())
}

export default fp(debugPlugin, { name: 'oci-debug', fastify: '5.x' })
