import { getReferrers } from '../schemas/listing-routes.js'
import { OCI_INDEX } from '../schemas/media-types.js'
import { parseDigest } from '../services/reference/reference.js'
import type { ReferrerDescriptor } from '../services/registry/types.js'
import { resource } from './resource.js'
import type { RouteOptions, RouteScope } from './types.js'

/** Clients read at most 4 MiB of an answer; what is left for its frame is more than it needs. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024 - 4096

/** `GET /v2/<name>/referrers/<digest>` (end-12): an index, also for what was never pushed (R-216). */
export default async function referrersRoutes (fastify: RouteScope, { locations }: RouteOptions): Promise<void> {
  fastify.route({
    ...resource('referrers'),
    method: ['GET', 'HEAD'],
    schema: getReferrers,
    async handler ({ params, query, oci: { repository } }, reply) {
      const subject = parseDigest(params.reference)
      const types = query.artifactType?.filter(type => type !== '') ?? []
      const last = query.last?.[0] ?? ''
      const wanted = (await repository.referrers.list(subject))
        .filter(({ digest, artifactType }) => digest > last && (types.length === 0 || types.some(type => isType(artifactType, type))))
      const { manifests, next } = page(wanted)
      if (next !== undefined) {
        const search = new URLSearchParams([...types.map((type): [string, string] => ['artifactType', type]), ['last', next]])
        reply.header('link', `<${locations.path(`${repository.name}/referrers/${subject}`)}?${search}>; rel="next"`)
      }
      if (types.length > 0) reply.header('oci-filters-applied', 'artifactType')
      const index = `{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[${manifests.join(',')}]}`
      return reply.header('content-type', OCI_INDEX).send(Buffer.from(index))
    }
  })
}

/** Longer ones are few, and would take memory that nobody counts. */
const MAX_KNOWN_BYTES = 16 * 1024

/** A descriptor that is asked for again is the same object, as long as its manifest is in memory. */
const known = new WeakMap<ReferrerDescriptor, { readonly json: string, readonly length: number }>()

function serialized (descriptor: ReferrerDescriptor): { readonly json: string, readonly length: number } {
  const found = known.get(descriptor)
  if (found !== undefined) return found
  const json = JSON.stringify(descriptor)
  const made = { json, length: Buffer.byteLength(json) }
  if (made.length <= MAX_KNOWN_BYTES) known.set(descriptor, made)
  return made
}

/** R-229: as many descriptors, in JSON, as fit; and the digest to go on after, if there are more. */
function page (descriptors: readonly ReferrerDescriptor[]): { manifests: string[], next: string | undefined } {
  const manifests: string[] = []
  let bytes = 0
  for (const [i, descriptor] of descriptors.entries()) {
    const { json, length } = serialized(descriptor)
    bytes += length + 1
    if (bytes > MAX_PAGE_BYTES && i > 0) return { manifests, next: descriptors[i - 1]?.digest }
    manifests.push(json)
  }
  return { manifests, next: undefined }
}

/** R-227: a `+` that the client did not escape arrives as a blank. */
function isType (artifactType: string | undefined, wanted: string): boolean {
  return artifactType === wanted || artifactType === wanted.replaceAll(' ', '+')
}
