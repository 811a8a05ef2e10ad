import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { sources } from '../services/metrics/sources.js'

/** Metrics of what other concerns count anyway. */
async function metricSourcesPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociMetrics, ociDescriptors, ociEvents, ociUploads, ociUploadPurge, ociGarbageCollection, ociVerify, ociPolicy, ociHealth } = fastify
  if (ociMetrics === undefined) return
  const counted = sources({
    cache: ociDescriptors.cache === undefined ? undefined : () => ociDescriptors.stats(),
    endpoints: () => ociEvents.stats(),
    uploads: () => ociUploads.stats(),
    purge: () => ociUploadPurge.status,
    collection: () => ociGarbageCollection.status,
    verify: () => ociVerify.status,
    policy: () => ociPolicy.engine.counts,
    failingChecks: () => ociHealth.failures()
  })
  for (const source of counted) ociMetrics.add(source)
}

export default fp(metricSourcesPlugin, {
  name: 'oci-metric-sources',
  fastify: '5.x',
  dependencies: ['oci-metrics', 'oci-descriptors', 'oci-notifications', 'oci-uploads', 'oci-upload-purge', 'oci-garbage-collection', 'oci-verify', 'oci-policy', 'oci-health']
})
