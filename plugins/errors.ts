import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { OciError } from '../services/errors/oci-error.js'
import type { OciCode } from '../services/errors/oci-error.js'
import { drain } from '../services/http/drain.js'
import { ClientAborted } from '../services/http/receive.js'
import { Overload } from '../services/limits/overload.js'

/** The error handler of every /v2 route, and the only code that writes an error body. */
async function errorsPlugin (fastify: FastifyInstance): Promise<void> {
  fastify.setErrorHandler(sendError)
}

/** Answers with the OCI error envelope (dist-spec "Error Codes"). The client learns nothing about errors that are ours. */
export function sendError (error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asOciError(error)
  noteFailure(request, known, error)
  // the answer must reach a client that is still sending.
  drain(request.raw)
  const body = Buffer.from(JSON.stringify({ errors: known.entries() }))
  return reply
    .code(known.status)
    .removeHeader('etag')
    .removeHeader('cache-control')
    .removeHeader('docker-content-digest')
    .headers({ ...known.headers, 'docker-distribution-api-version': 'registry/2.0', 'content-type': 'application/json' })
    .send(body)
}

/** Where the registry logs requests, a failure is told in the line about its request; in a host's log it is a line. */
function noteFailure ({ ociLogged, headers, log }: FastifyRequest, known: OciError, error: unknown): void {
  const isAborted = error instanceof ClientAborted
  // Who is overloaded does not write an error for each request it refuses; the limits say that they do.
  const isOverload = error instanceof Overload
  if (ociLogged !== undefined) {
    // Most clients send credentials when they are asked to.
    const isChallenge = known.status === 401 && headers.authorization === undefined
    ociLogged.failed({ known, error, kind: isAborted ? 'aborted' : isOverload || isChallenge ? 'expected' : 'error' })
  } else if (isAborted) {
    log.info({ err: error }, 'client went away during its upload')
  } else if (known.status >= 500 && !isOverload) {
    log.error({ err: error }, 'request failed')
  }
}

/** everything that goes wrong under /v2 has a code, also what Fastify or a hook of the host throws. */
export function asOciError (error: FastifyError | Error): OciError {
  if (OciError.is(error)) return error
  // As docker's registry: nobody reads the answer, but logs and metrics should not tell of an error of the server's.
  if (error instanceof ClientAborted) return new OciError('UNKNOWN', { status: 499, cause: error })
  // JavaScript lets a hook of the host throw anything.
  if (typeof error !== 'object' || error === null) return new OciError('UNKNOWN', { cause: error })
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
  if ('validation' in error && error.validation !== undefined) {
    return new OciError('UNSUPPORTED', { status: 400, message: 'invalid request', detail: error.message, cause: error })
  }
  if (!(status >= 400 && status < 500)) {
    return new OciError(status === 503 ? 'UNAVAILABLE' : 'UNKNOWN', { cause: error })
  }
  return new OciError(CODES[status] ?? 'UNSUPPORTED', { status, message: error.message, cause: error })
}

const CODES: Readonly<Record<number, OciCode>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NAME_UNKNOWN',
  413: 'SIZE_INVALID',
  416: 'RANGE_INVALID',
  429: 'TOOMANYREQUESTS'
}

export default fp(errorsPlugin, { name: 'oci-errors', fastify: '5.x' })
