import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { StorageNamespace } from '../services/registry/namespace.js'
import type { Namespace } from '../services/registry/types.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociNamespace: Namespace
  }
}

async function namespacePlugin (fastify: FastifyInstance): Promise<void> {
  fastify.decorate('ociNamespace', new StorageNamespace({ driver: fastify.ociDriver, uploads: fastify.ociUploads }))
}

export default fp(namespacePlugin, { name: 'oci-namespace', fastify: '5.x', dependencies: ['oci-storage', 'oci-uploads'] })
