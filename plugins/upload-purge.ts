import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { parseDuration } from '../services/config/duration.js'
import { UploadPurge } from '../services/maintenance/upload-purge.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Removes uploads that nobody finished. */
    ociUploadPurge: UploadPurge
  }
}

/** Also in read-only mode: a session that cannot go on is no reason to keep its bytes. */
async function uploadPurgePlugin (fastify: FastifyInstance): Promise<void> {
  const { ociConfig, ociDriver: driver, ociUploads: sessions, ociWorkers, ociDebug, log } = fastify
  const { enabled, age, interval, dryrun: dryRun } = ociConfig.storage.maintenance.uploadpurging
  const purge = new UploadPurge({ driver, sessions, ageMs: parseDuration(age), intervalMs: parseDuration(interval), dryRun, log })
  fastify.decorate('ociUploadPurge', purge)
  ociDebug.publish('uploadpurge', () => purge.status)
  if (enabled) fastify.addHook('onReady', async () => { ociWorkers.onLead(() => { purge.start() }) })
  fastify.addHook('onClose', async () => { await purge.stop() })
}

export default fp(uploadPurgePlugin, {
  name: 'oci-upload-purge',
  fastify: '5.x',
  dependencies: ['oci-config', 'oci-debug', 'oci-workers', 'oci-storage', 'oci-uploads']
})
