import { getTags } from '../schemas/listing-routes.js'
import { nextLink, parsePagination } from '../services/http/pagination.js'
import { resource } from './resource.js'
import type { RouteOptions, RouteScope } from './types.js'

/** `GET /v2/<name>/tags/list` (end-8). Without `n` the list is whole, because many clients follow no Link. */
export default async function tagRoutes (fastify: RouteScope, { locations }: RouteOptions): Promise<void> {
  const { maxtags } = fastify.ociConfig.tags

  fastify.route({
    ...resource('tags'),
    method: ['GET', 'HEAD'],
    schema: getTags,
    async handler ({ query, oci: { repository } }, reply) {
      const { limit: asked, ...after } = parsePagination({ n: query.n?.[0], last: query.last?.[0] })
      const limit = asked === undefined ? undefined : Math.min(asked, maxtags)
      const { items, more } = await repository.tags.list({ ...after, ...(limit === undefined ? {} : { limit }) })
      const last = items.at(-1)
      if (more && last !== undefined && limit !== undefined) {
        reply.header('link', nextLink(locations.path(`${repository.name}/tags/list`), { last, limit }))
      }
      return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify({ name: repository.name, tags: items })))
    }
  })
}
