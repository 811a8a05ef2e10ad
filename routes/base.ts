import type { FastifyReply, FastifyRequest } from 'fastify'
import { getBase } from '../schemas/listing-routes.js'
import type { RouteScope } from './types.js'

const BODY = Buffer.from('{}')

/** `GET /v2/` (end-1), the first request of most clients; also without the final slash, for health checks. */
export default async function baseRoutes (fastify: RouteScope): Promise<void> {
  for (const url of ['/v2/', '/v2']) {
    // With ignoreTrailingSlash, an option of the host's router, both are one.
    if (fastify.hasRoute({ method: 'GET', url: `${fastify.prefix}${url}` })) continue
    fastify.route({ method: ['GET', 'HEAD'], url, schema: getBase, config: { ociAccess: 'base' }, handler })
  }
}

async function handler (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return reply.header('content-type', 'application/json').send(BODY)
}
