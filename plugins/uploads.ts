import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { UploadSessions } from '../services/uploads/sessions.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociUploads: UploadSessions
  }
}

async function uploadsPlugin (fastify: FastifyInstance): Promise<void> {
  fastify.decorate('ociUploads', new UploadSessions({ driver: fastify.ociDriver }))
}

export default fp(uploadsPlugin, { name: 'oci-uploads', fastify: '5.x', dependencies: ['oci-storage'] })
