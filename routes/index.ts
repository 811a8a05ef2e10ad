import type { FastifyInstance } from 'fastify'
import { Locations } from '../services/http/locations.js'
import baseRoutes from './base.js'
import blobRoutes from './blobs.js'
import catalogRoutes from './catalog.js'
import eventRoutes from './events.js'
import explainRoutes from './explain.js'
import extensionRoutes from './extensions.js'
import manifestRoutes from './manifests.js'
import referrersRoutes from './referrers.js'
import tagRoutes from './tags.js'
import unsupportedRoutes from './unsupported.js'
import uploadSessionRoutes from './upload-session.js'
import uploadRoutes from './uploads.js'

/** The /v2 API: one module per resource. */
export default async function routes (fastify: FastifyInstance): Promise<void> {
  const { host, relativeurls } = fastify.ociConfig.http
  const locations = new Locations({ prefix: fastify.prefix, host, relativeurls })
  await fastify.register(baseRoutes)
  await fastify.register(catalogRoutes, { locations })
  await fastify.register(manifestRoutes, { locations })
  await fastify.register(blobRoutes)
  await fastify.register(uploadRoutes, { locations })
  await fastify.register(uploadSessionRoutes, { locations })
  await fastify.register(tagRoutes, { locations })
  await fastify.register(referrersRoutes, { locations })
  await fastify.register(explainRoutes)
  await fastify.register(extensionRoutes, { locations })
  await fastify.register(eventRoutes)
  await fastify.register(unsupportedRoutes)
}
