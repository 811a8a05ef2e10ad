import type { FastifyReply, FastifyRequest } from 'fastify'
import type { OciContext } from '../plugins/repository.js'
import { startUpload } from '../schemas/upload-routes.js'
import { parseMount } from '../services/http/mount.js'
import type { MountRequest } from '../services/http/mount.js'
import { algorithmOf, parseAlgorithm, parseDigest } from '../services/reference/reference.js'
import type { Digest } from '../services/reference/reference.js'
import { bodyOf, closeSignal, declaredLength, hasBody } from './request.js'
import { resource } from './resource.js'
import { UploadReplies } from './upload-replies.js'
import type { UploadRequest } from './upload-replies.js'
import type { RouteOptions, RouteScope } from './types.js'

// The digests of nothing, for clients that name a digest but mean to send the bytes later.
const EMPTY = new Set([
  'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e'
])

/** `POST /v2/<name>/blobs/uploads/`: start an upload, push a blob in one request, or mount one (end-4, end-11). */
export default async function uploadRoutes (fastify: RouteScope, { locations }: RouteOptions): Promise<void> {
  const replies = new UploadReplies(locations)

  fastify.route({
    ...resource('upload'),
    method: 'POST',
    schema: startUpload,
    async handler (request, reply) {
      const { query, oci: { repository } } = request
      const mount = parseMount(query, repository.name)
      if (mount !== undefined && await isMounted(mount, request.oci)) return replies.created(request, reply, mount.digest)
      const digest = query.digest?.[0] === undefined ? undefined : parseDigest(query.digest[0])
      if (digest !== undefined && !meansLater(request, digest)) return await pushAtOnce(request, reply, digest)
      const algorithm = query['digest-algorithm']?.[0]
      const sha512 = algorithm !== undefined && parseAlgorithm(algorithm) === 'sha512'
      await using session = await repository.blobs.startUpload({ sha512, signal: closeSignal(reply) })
      return replies.progress(request, reply.code(202), session)
    }
  })

  /** end-4b: one request, and no trace of it if the bytes are not what they should be. */
  async function pushAtOnce (request: UploadRequest & Pick<FastifyRequest, 'body' | 'raw'>, reply: FastifyReply, digest: Digest): Promise<FastifyReply> {
    const { blobs } = request.oci.repository
    await using session = await blobs.startUpload({ digest, sha512: algorithmOf(digest) === 'sha512', signal: closeSignal(reply) })
    try {
      const judged = session.expect(declaredLength(request))
      if (judged !== undefined) await judged
      await session.append(bodyOf(request, reply))
    } catch (error) {
      await session.discard()
      throw error
    }
    await blobs.commitUpload(session, digest)
    return replies.created(request, reply, digest)
  }
}

/** without a source only those are tried that the caller may pull from, so that nobody learns what others have. */
async function isMounted ({ digest, from }: MountRequest, { repository: { blobs }, mayPull }: OciContext): Promise<boolean> {
  if (from !== undefined) return await blobs.mount(digest, from) !== null
  for (const holder of blobs.holders(digest)) {
    if (await mayPull(holder) && await blobs.mount(digest, holder) !== null) return true
  }
  return false
}

/** a digest of something, and no body. */
function meansLater (request: Pick<FastifyRequest, 'headers' | 'raw'>, digest: Digest): boolean {
  return !hasBody(request) && !EMPTY.has(digest)
}
