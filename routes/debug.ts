import type { FastifyInstance } from 'fastify'
import { processVariables } from '../services/debug/process-variables.js'
import { MAX_PROFILE_SECONDS, cpuProfile, heapSnapshot } from '../services/debug/profile.js'
import { summed } from '../services/debug/variables.js'
import { closeSignal } from './request.js'

export interface DebugRouteOptions {
  /** What each process publishes. */
  readonly variables: () => Promise<readonly unknown[]>
  /** The health checks that fail, in any process. */
  readonly failures: () => Promise<Record<string, string>>
}

const PROFILE_QUERY = {
  type: 'object',
  properties: { seconds: { type: 'integer', minimum: 1, maximum: MAX_PROFILE_SECONDS, default: 30 } }
} as const

/** What an operator asks of the process that leads; the paths are those of Go programs. */
export default async function debugRoutes (fastify: FastifyInstance, { variables, failures }: DebugRouteOptions): Promise<void> {
  let isBusy = false

  fastify.get('/debug/vars', async () => ({ ...processVariables(), registry: summed(await variables()) }))

  fastify.get('/debug/health', async (_request, reply) => {
    const failing = await failures()
    return reply.code(Object.keys(failing).length === 0 ? 200 : 503).send(failing)
  })

  fastify.get<{ Querystring: { seconds: number } }>('/debug/pprof/profile', { schema: { querystring: PROFILE_QUERY } }, async ({ query }, reply) => {
    if (isBusy) return reply.code(409).send({ error: 'a profile is being taken' })
    isBusy = true
    try {
      const profile = await cpuProfile(query.seconds, closeSignal(reply))
      return reply.type('application/json').header('content-disposition', 'attachment; filename="oci-registry.cpuprofile"').send(profile)
    } finally {
      isBusy = false
    }
  })

  fastify.get('/debug/pprof/heap', (_request, reply) => {
    reply.type('application/json').header('content-disposition', 'attachment; filename="oci-registry.heapsnapshot"').send(heapSnapshot())
  })
}
