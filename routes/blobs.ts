import type { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { deleteBlob, getBlob } from '../schemas/blob-routes.js'
import { OciError } from '../services/errors/oci-error.js'
import { IMMUTABLE } from '../services/http/caching.js'
import { multipartRanges } from '../services/http/multipart.js'
import { decideRange, matchesEtag } from '../services/http/range.js'
import { parseDigest } from '../services/reference/reference.js'
import type { Digest } from '../services/reference/reference.js'
import type { ByteRange } from '../services/storage/driver.js'
import { resource } from './resource.js'
import type { RouteScope } from './types.js'

const OCTETS = { 'content-type': 'application/octet-stream' }

/** Blobs by digest (end-2, end-10). */
export default async function blobRoutes (fastify: RouteScope): Promise<void> {
  fastify.route({
    ...resource('blob'),
    method: 'GET',
    schema: getBlob,
    async handler ({ params, headers, oci: { repository } }, reply) {
      const digest = parseDigest(params.reference)
      const found = repository.blobs.stat(digest)
      const descriptor = found instanceof Promise ? await found : found
      const redirect = repository.blobs.redirectUrl(descriptor, 'GET')
      const elsewhere = redirect === null ? null : await redirect
      if (elsewhere !== null) return sendElsewhere(reply, elsewhere)
      describe(reply, digest)
      if (matchesEtag(headers['if-none-match'], digest)) return reply.code(304).send()
      const range = decideRange(ifRange(headers['if-range'], digest) ? headers.range : undefined, descriptor.size)
      if (range === 'unsatisfiable') {
        throw new OciError('RANGE_INVALID', { message: 'the range lies outside the blob', headers: { 'content-range': `bytes */${descriptor.size}` } })
      }
      if (range !== 'full') return await sendParts(reply, range, descriptor.size, async part => await repository.blobs.open(descriptor, part))
      const kept = repository.blobs.bytes?.(descriptor) ?? null
      const body = kept === null ? await repository.blobs.open(descriptor) : kept instanceof Promise ? await kept : kept
      return reply.header('content-type', OCTETS['content-type']).header('content-length', descriptor.size).send(body)
    }
  })

  fastify.route({
    ...resource('blob'),
    method: 'HEAD',
    schema: getBlob,
    async handler ({ params, headers, oci: { repository } }, reply) {
      const digest = parseDigest(params.reference)
      const found = repository.blobs.stat(digest)
      const descriptor = found instanceof Promise ? await found : found
      const redirect = repository.blobs.redirectUrl(descriptor, 'HEAD')
      const elsewhere = redirect === null ? null : await redirect
      if (elsewhere !== null) return sendElsewhere(reply, elsewhere)
      describe(reply, digest)
      if (matchesEtag(headers['if-none-match'], digest)) return reply.code(304).send()
      return reply.headers({ ...OCTETS, 'content-length': descriptor.size }).send()
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

/** the storage itself serves the blob, conditions and ranges included; as in docker's registry nothing is said of it here. */
function sendElsewhere (reply: FastifyReply, url: string): FastifyReply {
  return reply.code(307).headers({ ...OCTETS, location: url }).send()
}

async function sendParts (reply: FastifyReply, ranges: readonly ByteRange[], size: number, open: (range: ByteRange) => Promise<Readable>): Promise<FastifyReply> {
  const [only, ...others] = ranges
  if (only === undefined || others.length > 0) {
    const { contentType, length, stream } = multipartRanges(ranges, size, open)
    return reply.code(206).headers({ 'content-type': contentType, 'content-length': length }).send(stream)
  }
  const headers = { ...OCTETS, 'content-length': only.end - only.start + 1, 'content-range': `bytes ${only.start}-${only.end}/${size}` }
  return reply.code(206).headers(headers).send(await open(only))
}

/** the digest that was asked for, and caching for as long as caches will. */
function describe (reply: FastifyReply, digest: Digest): void {
  reply
    .header('docker-content-digest', digest)
    .header('etag', `"${digest}"`)
    .header('cache-control', IMMUTABLE)
    .header('accept-ranges', 'bytes')
}

/** the range counts when there is no condition, or it names this content. */
function ifRange (header: string | string[] | undefined, digest: Digest): boolean {
  return header === undefined || header === `"${digest}"`
}
