import type { FastifyReply, FastifyRequest } from 'fastify'
import { cancelUpload, finishUpload, getUpload, patchUpload } from '../schemas/upload-routes.js'
import { OciError } from '../services/errors/oci-error.js'
import { parseContentRange } from '../services/http/content-range.js'
import { algorithmOf, parseDigest } from '../services/reference/reference.js'
import type { Digest } from '../services/reference/reference.js'
import { parseUploadLocation } from '../services/uploads/location.js'
import type { UploadLocation } from '../services/uploads/location.js'
import type { UploadSession } from '../services/uploads/session.js'
import { bodyOf, closeSignal, declaredLength } from './request.js'
import { resource } from './resource.js'
import { UploadReplies } from './upload-replies.js'
import type { UploadRequest } from './upload-replies.js'
import type { RouteOptions, RouteScope } from './types.js'

type SessionRequest = UploadRequest & Pick<FastifyRequest, 'body' | 'raw'> & { params: { reference: string } }

/** `/v2/<name>/blobs/uploads/<session>`: status, chunk, close and cancel (end-5, end-6, end-13, end-14). */
export default async function uploadSessionRoutes (fastify: RouteScope, { locations }: RouteOptions): Promise<void> {
  const replies = new UploadReplies(locations)

  // any Location ever given answers, whatever offset it was issued for.
  fastify.route({
    ...resource('upload-session'),
    method: ['GET', 'HEAD'],
    schema: getUpload,
    async handler (request, reply) {
      const { id } = locationOf(request)
      const offset = await request.oci.repository.blobs.uploadOffset(id, closeSignal(reply))
      return replies.progress(request, reply.code(204), { id, offset })
    }
  })

  fastify.route({
    ...resource('upload-session'),
    method: 'PATCH',
    schema: patchUpload,
    async handler (request, reply) {
      await using session = await resume(request, reply)
      await append(request, reply, session)
      await session.flush()
      return replies.progress(request, reply.code(202), session)
    }
  })

  fastify.route({
    ...resource('upload-session'),
    method: 'PUT',
    schema: finishUpload,
    async handler (request, reply) {
      await using session = await resume(request, reply)
      const digest = digestOf(request.query.digest)
      session.hashWith(algorithmOf(digest))
      await append(request, reply, session)
      await request.oci.repository.blobs.commitUpload(session, digest)
      return replies.created(request, reply, digest)
    }
  })

  fastify.route({
    ...resource('upload-session'),
    method: 'DELETE',
    schema: cancelUpload,
    async handler (request, reply) {
      const { id } = locationOf(request)
      await request.oci.repository.blobs.cancelUpload(id, closeSignal(reply))
      return reply.code(204).header('docker-upload-uuid', id).send()
    }
  })

  /** The session, locked for this request; refused if the client's Location is of an earlier state. */
  async function resume (request: SessionRequest, reply: FastifyReply): Promise<UploadSession> {
    const { id, offset } = locationOf(request)
    const session = await request.oci.repository.blobs.resumeUpload(id, closeSignal(reply))
    if (offset === undefined || offset === session.offset) return session
    await session[Symbol.asyncDispose]()
    throw replies.rangeInvalid(request, session, `this Location is of offset ${offset}, the upload is at ${session.offset}`)
  }

  /** Appends the body where it says it belongs: a gap or an overlap is refused and nothing of it is kept. */
  async function append (request: SessionRequest, reply: FastifyReply, session: UploadSession): Promise<void> {
    const header = request.headers['content-range']
    if (header === undefined) return await appendAll(request, reply, session)
    const { start, end } = parseContentRange(header)
    if (start !== session.offset) {
      throw replies.rangeInvalid(request, session, `the chunk begins at ${start}, the upload is at ${session.offset}`)
    }
    const length = end - start + 1
    if ((declaredLength(request) ?? length) !== length) throw new OciError('SIZE_INVALID')
    await appendAll(request, reply, session, length)
  }
}

/** A policy may refuse the body by its length, before the client is asked for it. */
async function appendAll (request: SessionRequest, reply: FastifyReply, session: UploadSession, length?: number): Promise<void> {
  const judged = session.expect(length ?? declaredLength(request))
  if (judged !== undefined) await judged
  await session.append(bodyOf(request, reply), length === undefined ? {} : { length })
}

function locationOf ({ params }: Pick<SessionRequest, 'params'>): UploadLocation {
  const location = parseUploadLocation(params.reference)
  if (location === undefined) throw new OciError('BLOB_UPLOAD_UNKNOWN')
  return location
}

/** needed once; the same one twice does no harm. The session outlives a mistake. */
function digestOf (values: readonly string[] = []): Digest {
  const [digest, ...others] = values
  if (digest === undefined || digest === '') throw new OciError('DIGEST_INVALID', { message: 'invalid digest', detail: 'digest missing' })
  if (others.some(other => other !== digest)) throw new OciError('DIGEST_INVALID', { message: 'invalid digest', detail: 'two different digests' })
  return parseDigest(digest)
}
