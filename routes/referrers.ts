import { resource } from '../plugins/routing.js'
import { getReferrers } from '../schemas/listing-routes.js'
import { OCI_INDEX } from '../schemas/media-types.js'
import { parseDigest } from '../services/reference/reference.js'
import type { RouteScope } from './types.js'

/** `GET /v2/<name>/referrers/<digest>` (end-12): an index, also for what was never pushed. */
export default async function referrersRoutes (fastify: RouteScope): Promise<void> {
  fastify.route({
    ...resource('referrers'),
    method: ['GET', 'HEAD'],
    schema: getReferrers,
    async handler ({ params, query, oci: { repository } }, reply) {
      const subject = parseDigest(params.reference)
      const types = query.artifactType?.filter(type => type !== '') ?? []
      const all = await repository.referrers.list(subject)
      const manifests = types.length === 0 ? all : all.filter(({ artifactType }) => types.some(type => isType(artifactType, type)))
      if (types.length > 0) reply.header('oci-filters-applied', 'artifactType')
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
      return reply.header('content-type', OCI_INDEX).send(Buffer.from(JSON.stringify(index)))
    }
  })
}

/** a `+` that the client did not escape arrives as a blank. */
function isType (artifactType: string | undefined, wanted: string): boolean {
  return artifactType === wanted || artifactType === wanted.replaceAll(' ', '+')
}
