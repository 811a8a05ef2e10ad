import type { FastifyReply, FastifyRequest } from 'fastify'
import { deleteManifest, getManifest, putManifest } from '../schemas/manifest-routes.js'
import { OciError } from '../services/errors/oci-error.js'
import { IMMUTABLE } from '../services/http/caching.js'
import { matchesEtag } from '../services/http/range.js'
import { readLimited } from '../services/http/read-limited.js'
import { warningHeaders } from '../services/http/warning.js'
import { isTag, parseReference, parseTag } from '../services/reference/reference.js'
import type { Reference, Tag } from '../services/reference/reference.js'
import { MAX_MANIFEST_BYTES } from '../services/registry/manifest-contents.js'
import { bodyOf, declaredLength } from './request.js'
import { resource } from './resource.js'
import type { RouteOptions, RouteScope } from './types.js'

/** Tags one push may set; the spec wants at least ten. */
const MAX_TAGS = 64

interface ManifestRequest { Params: { reference: string } }

/** Manifests by tag or digest (end-3, end-7, end-9). */
export default async function manifestRoutes (fastify: RouteScope, { locations }: RouteOptions): Promise<void> {
  fastify.route({ ...resource('manifest'), method: 'GET', schema: getManifest, handler: pull })
  fastify.route({ ...resource('manifest'), method: 'HEAD', schema: getManifest, handler: pull })

  fastify.route({
    ...resource('manifest'),
    method: 'PUT',
    schema: putManifest,
    async handler (request, reply) {
      const { repository } = request.oci
      const reference = parseReference(request.params.reference)
      const tags = tagParameters(request.query.tag, reference)
      const bytes = await readLimited(bodyOf(request, reply), { limit: MAX_MANIFEST_BYTES, declared: declaredLength(request) })
      const { descriptor, subject, warnings } = await repository.manifests.put(bytes, { mediaType: mediaTypeOf(request), reference, tags })
      if (subject !== undefined) reply.header('oci-subject', subject)
      if (tags.length > 0) reply.header('oci-tag', tags.join(', '))
      if (warnings.length > 0) reply.header('warning', warningHeaders(warnings))
      return reply
        .code(201)
        .header('location', locations.manifest(request, repository.name, descriptor.digest))
        .header('docker-content-digest', descriptor.digest)
        .send()
    }
  })

  fastify.route({
    ...resource('manifest'),
    method: 'DELETE',
    schema: deleteManifest,
    async handler ({ params, oci: { repository } }, reply) {
      await repository.manifests.delete(existingReference(params.reference))
      return reply.code(202).send()
    }
  })
}

/** GET and HEAD. The stored media type is served whatever Accept says: a manifest that exists is a 200. */
async function pull ({ params, headers, method, oci: { repository } }: FastifyRequest<ManifestRequest>, reply: FastifyReply): Promise<FastifyReply> {
  const { descriptor, bytes } = await repository.manifests.get(existingReference(params.reference))
  reply
    .header('docker-content-digest', descriptor.digest)
    .header('etag', `"${descriptor.digest}"`)
    // what a digest names never changes; a tag may point elsewhere a moment later.
    .header('cache-control', params.reference.includes(':') ? IMMUTABLE : 'no-cache')
  if (matchesEtag(headers['if-none-match'], descriptor.digest)) return reply.code(304).send()
  reply.header('content-type', descriptor.mediaType).header('content-length', descriptor.size)
  return method === 'HEAD' ? reply.send() : reply.send(bytes)
}

/** R-174 … R-176: all or nothing, and only where the URL itself sets no tag. */
function tagParameters (values: readonly string[] = [], reference: Reference): Tag[] {
  if (values.length === 0) return []
  if ('tag' in reference) throw new OciError('MANIFEST_INVALID', { detail: 'tag parameters are for a push by digest' })
  if (values.length > MAX_TAGS) throw new OciError('TAG_INVALID', { status: 414, message: 'too many tags', detail: { max: MAX_TAGS } })
  return [...new Set(values.map(parseTag))]
}

/** what cannot be a tag does not exist. A malformed digest is a malformed request. */
function existingReference (text: string): Reference {
  if (!text.includes(':') && !isTag(text)) throw new OciError('MANIFEST_UNKNOWN', { detail: `unknown tag=${text.slice(0, 128)}` })
  return parseReference(text)
}

/** parameters and case of the Content-Type say nothing. */
function mediaTypeOf ({ headers }: FastifyRequest): string | undefined {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  return type === '' ? undefined : type
}
