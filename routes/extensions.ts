import type { FastifyReply, FastifyRequest } from 'fastify'
import { getExtensions } from '../schemas/listing-routes.js'
import { resource } from './resource.js'
import type { RouteOptions, RouteScope } from './types.js'

/** `_oci/ext/discover`, for the registry and for each repository: which extensions there are. */
export default async function extensionRoutes (fastify: RouteScope, { locations }: RouteOptions): Promise<void> {
  const discover = {
    name: '_oci',
    description: 'Extension discovery',
    url: 'https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md',
    endpoints: ['_oci/ext/discover']
  }
  const catalog = {
    name: '_catalog',
    description: `Catalog of repositories at ${locations.path('_catalog')}`,
    url: 'https://distribution.github.io/distribution/spec/api/#catalog',
    endpoints: ['_catalog']
  }

  fastify.route({
    method: ['GET', 'HEAD'],
    url: '/v2/_oci/ext/discover',
    schema: getExtensions,
    config: { ociAccess: 'base' },
    handler: async (_request, reply) => send(reply, [discover, catalog])
  })
  fastify.route({
    ...resource('extensions'),
    method: ['GET', 'HEAD'],
    schema: getExtensions,
    handler: async (_request: FastifyRequest, reply: FastifyReply) => send(reply, [discover])
  })
}

function send (reply: FastifyReply, extensions: readonly object[]): FastifyReply {
  return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify({ extensions })))
}
