import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { parseDuration } from '../services/config/duration.js'
import { GarbageCollection } from '../services/garbage/garbage-collection.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Removes content and manifests that nothing needs any more. */
    ociGarbageCollection: GarbageCollection
  }
}

/** Also in read-only mode: what is needed does not depend on it. */
async function garbageCollectionPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociConfig, ociDriver: driver, ociNamespace, ociWorkers, ociDebug, log } = fastify
  const { enabled, interval, grace, deleteuntagged: deleteUntagged, dryrun: dryRun } = ociConfig.storage.maintenance.garbagecollect
  const collection = new GarbageCollection({
    driver,
    intervalMs: parseDuration(interval),
    graceMs: parseDuration(grace),
    deleteUntagged,
    dryRun,
    forget: async digest => { await ociNamespace.forget(digest) },
    log
  })
  fastify.decorate('ociGarbageCollection', collection)
  ociDebug.publish('garbagecollection', () => collection.status)
  if (enabled) fastify.addHook('onReady', async () => { ociWorkers.onLead(() => { collection.start() }) })
  fastify.addHook('onClose', async () => { await collection.stop() })
}

export default fp(garbageCollectionPlugin, {
  name: 'oci-garbage-collection',
  fastify: '5.x',
  dependencies: ['oci-config', 'oci-debug', 'oci-workers', 'oci-storage', 'oci-namespace']
})
