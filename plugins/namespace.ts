import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { referenceValidation } from '../services/config/validation.js'
import { StorageNamespace } from '../services/registry/namespace.js'
import type { Namespace } from '../services/registry/types.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociNamespace: Namespace
  }
}

async function namespacePlugin (fastify: FastifyInstance): Promise<void> {
  const { ociDriver: driver, ociUploads: uploads, ociDescriptors: descriptors, ociConfig } = fastify
  fastify.decorate('ociNamespace', new StorageNamespace({ driver, uploads, descriptors, validation: referenceValidation(ociConfig.validation) }))
}

export default fp(namespacePlugin, { name: 'oci-namespace', fastify: '5.x', dependencies: ['oci-config', 'oci-storage', 'oci-uploads', 'oci-descriptors'] })
