import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { RegistryMetrics } from '../services/metrics/registry-metrics.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined unless metrics are collected: who measures does nothing then. */
    ociMetrics: RegistryMetrics | undefined
  }
}

async function metricsPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociConfig: { http: { debug } }, ociWorkers: { id, count } } = fastify
  if (debug?.prometheus.enabled !== true) {
    fastify.decorate('ociMetrics', undefined)
    return
  }
  const { RegistryMetrics } = await import('../services/metrics/registry-metrics.js')
  fastify.decorate('ociMetrics', new RegistryMetrics({ worker: count === 1 ? undefined : id }))
}

export default fp(metricsPlugin, { name: 'oci-metrics', fastify: '5.x', dependencies: ['oci-config', 'oci-workers'] })
