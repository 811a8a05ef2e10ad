import type { FastifyReply } from 'fastify'
import { resource } from '../plugins/routing.js'
import { deleteBlob, getBlob } from '../schemas/blob-routes.js'
import { OciError } from '../services/errors/oci-error.js'
import { decideRange, matchesEtag } from '../services/http/range.js'
import { parseDigest } from '../services/reference/reference.js'
import type { Digest } from '../services/reference/reference.js'
import type { RouteScope } from './types.js'

/** Blobs by digest (end-2, end-10). */
export default async function blobRoutes (fastify: RouteScope): Promise<void> {
  fastify.route({
    ...resource('blob'),
    method: 'GET',
    schema: getBlob,
    async handler ({ params, headers, oci: { repository } }, reply) {
      const digest = parseDigest(params.reference)
      const descriptor = await repository.blobs.stat(digest)
      describe(reply, digest)
      if (matchesEtag(headers['if-none-match'], digest)) return reply.code(304).send()
      const range = decideRange(ifRange(headers['if-range'], digest) ? headers.range : undefined, descriptor.size)
      if (range === 'unsatisfiable') {
        throw new OciError('RANGE_INVALID', { message: 'the range lies outside the blob', headers: { 'content-range': `bytes */${descriptor.size}` } })
      }
      reply.header('content-type', 'application/octet-stream')
      if (range === 'full') return reply.header('content-length', descriptor.size).send(await repository.blobs.open(descriptor))
      return reply
        .code(206)
        .header('content-range', `bytes ${range.start}-${range.end}/${descriptor.size}`)
        .header('content-length', range.end - range.start + 1)
        .send(await repository.blobs.open(descriptor, range))
    }
  })

  fastify.route({
    ...resource('blob'),
    method: 'HEAD',
    schema: getBlob,
    async handler ({ params, headers, oci: { repository } }, reply) {
      const digest = parseDigest(params.reference)
      const { size } = await repository.blobs.stat(digest)
      describe(reply, digest)
      if (matchesEtag(headers['if-none-match'], digest)) return reply.code(304).send()
      return reply.header('content-type', 'application/octet-stream').header('content-length', size).send()
    }
  })

  fastify.route({
    ...resource('blob'),
    method: 'DELETE',
    schema: deleteBlob,
    async handler ({ params, oci: { repository } }, reply) {
      await repository.blobs.delete(parseDigest(params.reference))
      return reply.code(202).send()
    }
  })
}

/** the digest that was asked for, and caching for as long as caches will. */
function describe (reply: FastifyReply, digest: Digest): void {
  reply
    .header('docker-content-digest', digest)
    .header('etag', `"${digest}"`)
    .header('cache-control', 'max-age=31536000, immutable')
    .header('accept-ranges', 'bytes')
}

/** the range counts when there is no condition, or it names this content. */
function ifRange (header: string | string[] | undefined, digest: Digest): boolean {
  return header === undefined || header === `"${digest}"`
}
