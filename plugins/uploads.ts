import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { LocalUploadLocks } from '../services/uploads/locks.js'
import { UploadSessions } from '../services/uploads/sessions.js'
import { SharedUploadLocks } from '../services/uploads/shared-locks.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociUploads: UploadSessions
  }
}

async function uploadsPlugin (fastify: FastifyInstance): Promise<void> {
  const { ownership } = fastify.ociWorkers
  const locks = ownership === undefined ? new LocalUploadLocks() : new SharedUploadLocks(ownership)
  fastify.decorate('ociUploads', new UploadSessions({ driver: fastify.ociDriver, locks }))
}

export default fp(uploadsPlugin, { name: 'oci-uploads', fastify: '5.x', dependencies: ['oci-storage', 'oci-workers'] })
