import type { FastifyReply, FastifyRequest } from 'fastify'
import { OciError } from '../services/errors/oci-error.js'
import type { Locations } from '../services/http/locations.js'
import type { Digest } from '../services/reference/reference.js'

/** What the answers need of a request. */
export type UploadRequest = Pick<FastifyRequest, 'headers' | 'protocol' | 'oci'>

/** How far a session is. */
export interface UploadProgress { readonly id: string, readonly offset: number }

/** The answers that all upload endpoints share. */
export class UploadReplies {
  readonly #locations: Locations

  constructor (locations: Locations) {
    this.#locations = locations
  }

  /** The blob is here (end-4b, end-6, end-11). */
  created (request: UploadRequest, reply: FastifyReply, digest: Digest): FastifyReply {
    return reply
      .code(201)
      .header('location', this.#locations.blob(request, request.oci.repository.name, digest))
      .header('docker-content-digest', digest)
      .send()
  }

  /** Where to go on, and from which byte. */
  progress (request: UploadRequest, reply: FastifyReply, progress: UploadProgress): FastifyReply {
    return reply.headers(this.#progressHeaders(request, progress)).send()
  }

  /** the refusal itself says where the session is, so that the client need not ask. */
  rangeInvalid (request: UploadRequest, progress: UploadProgress, detail: string): OciError {
    return new OciError('RANGE_INVALID', { detail, headers: this.#progressHeaders(request, progress) })
  }

  #progressHeaders (request: UploadRequest, { id, offset }: UploadProgress): Record<string, string> {
    return {
      location: this.#locations.upload(request, request.oci.repository.name, id, offset),
      // docker parses `%d-%d`, so none and one byte both read `0-0`.
      range: `0-${Math.max(0, offset - 1)}`,
      'docker-upload-uuid': id
    }
  }
}
