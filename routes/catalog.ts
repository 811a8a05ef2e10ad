import { getCatalog } from '../schemas/listing-routes.js'
import { OciError } from '../services/errors/oci-error.js'
import { nextLink, parsePagination } from '../services/http/pagination.js'
import type { RouteOptions, RouteScope } from './types.js'

const DEFAULT_PAGE = 100
const DEFAULT_MAX = 1000

/** `GET /v2/_catalog`, as docker's registry has it: pages of 100 unless asked otherwise (R-237 … R-239). */
export default async function catalogRoutes (fastify: RouteScope, { locations }: RouteOptions): Promise<void> {
  const { ociNamespace, ociConfig } = fastify
  const max = ociConfig.catalog.maxentries > 0 ? ociConfig.catalog.maxentries : DEFAULT_MAX

  fastify.route({
    method: ['GET', 'HEAD'],
    url: '/v2/_catalog',
    schema: getCatalog,
    config: { ociAccess: 'catalog' },
    async handler ({ query, ociGrant }, reply) {
      const { limit = Math.min(DEFAULT_PAGE, max), ...after } = parsePagination({ n: query.n?.[0], last: query.last?.[0] })
      if (limit > max) throw new OciError('PAGINATION_NUMBER_INVALID', { detail: { n: limit } })
      const { items, more } = await ociNamespace.repositories({ limit, ...after }, ociGrant?.visible)
      const last = items.at(-1)
      if (more && last !== undefined) reply.header('link', nextLink(locations.path('_catalog'), { last, limit }))
      return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify({ repositories: items })))
    }
  })
}
