import type { FastifyReply, FastifyRequest } from 'fastify'
import { LogController } from 'fastify'
import { asOciError } from './plugins/errors.js'
import { followed } from './plugins/request-log.js'
import { clientAddress } from './services/http/client-address.js'
import type { AccessLog } from './services/log/access-log.js'
import { LoggedRequest } from './services/log/logged-request.js'
import type { WriteRequest } from './services/log/logger.js'

export interface RequestLogging {
  /** Undefined: nothing is logged about requests. */
  readonly write: WriteRequest | undefined
  readonly access: AccessLog | undefined
}

/**
 * How the standalone server logs requests: when one is over, and it matters not how, there is one line in the log and one
 * in the access log, whatever route, error or hook was involved.
 */
export class RequestLogController extends LogController {
  readonly #logging: RequestLogging

  constructor (logging: RequestLogging) {
    super({ requestIdLogLabel: 'http.request.id' })
    this.#logging = logging
  }

  override incomingRequest (request: FastifyRequest, reply: FastifyReply): void {
    const { write, access } = this.#logging
    if (write === undefined && access === undefined) return
    const began = performance.now()
    const follow = (): void => {
      followed(request, reply, served => {
        access?.add(served)
        request.ociLogged?.over(served)
      }, began)
    }
    // Where nothing is written of a request that goes well, nothing need be known of it: it takes a third of a small one's time.
    const isQuiet = access === undefined && write?.writes('info') === false
    if (write !== undefined) request.ociLogged = new LoggedRequest(write, clientAddress(request), isQuiet ? follow : undefined)
    if (!isQuiet) follow()
  }

  override requestCompleted (): void {}

  /** An answer that breaks off. If it is because its client goes away, that is told when the request is over. */
  override streamError (error: Error, request: FastifyRequest): void {
    const isAbort = 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
    if (!isAbort) request.ociLogged?.failed({ known: asOciError(error), error, kind: 'error' })
  }
}
