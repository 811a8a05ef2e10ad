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
  const { ociDriver: driver, ociUploads: uploads, ociDescriptors: descriptors, ociMiddleware, ociConfig: { storage, validation } } = fastify
  let namespace: Namespace = new StorageNamespace({
    driver,
    uploads,
    descriptors,
    validation: referenceValidation(validation),
    redirect: !storage.redirect.disable,
    decorated: ociMiddleware.registry.length + ociMiddleware.repository.length > 0
  })
  for (const decorate of ociMiddleware.registry) namespace = await decorate(namespace)
  fastify.decorate('ociNamespace', namespace)
}

export default fp(namespacePlugin, { name: 'oci-namespace', fastify: '5.x', dependencies: ['oci-config', 'oci-storage', 'oci-uploads', 'oci-descriptors', 'oci-middleware'] })
