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
  const { ociDriver: driver, ociUploads: uploads, ociDescriptors: descriptors, ociConfig: { validation: { enabled, disabled, manifests } } } = fastify
  const validation = { disabled: disabled && enabled !== true, ...manifests.indexes }
  fastify.decorate('ociNamespace', new StorageNamespace({ driver, uploads, descriptors, validation }))
}

export default fp(namespacePlugin, { name: 'oci-namespace', fastify: '5.x', dependencies: ['oci-config', 'oci-storage', 'oci-uploads', 'oci-descriptors'] })
