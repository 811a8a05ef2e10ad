import type { FastifyInstance } from 'fastify'
import type { MetricValues } from '../services/metrics/registry-metrics.js'

export interface MetricsRouteOptions {
  readonly path: string
  /** The metrics of every process. */
  readonly read: () => Promise<readonly MetricValues[]>
}

/** What Prometheus asks for, of all processes together. */
export default async function metricsRoute (fastify: FastifyInstance, { path, read }: MetricsRouteOptions): Promise<void> {
  const { EXPOSITION_TYPE, exposition } = await import('../services/metrics/registry-metrics.js')
  fastify.get(path, async (_request, reply) => reply.type(EXPOSITION_TYPE).send(await exposition(await read())))
}
