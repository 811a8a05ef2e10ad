import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ClientAborted } from '../services/http/receive.js'
import { answerAttributes, requestAttributes, routeName } from '../services/tracing/request-attributes.js'
import type { RequestSpan, Tracing } from '../services/tracing/tracing.js'
import { asOciError } from './errors.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** The request in its trace; not there unless requests are traced. */
    ociSpan?: RequestSpan
  }
}

/** Traces the requests of the scope, if there is anybody to trace for. */
async function requestTracingPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociTracing: tracing } = fastify
  if (tracing === undefined) return
  // In callback form: what `done` calls, all later hooks and the handler, is part of the request.
  fastify.addHook('onRequest', (request, reply, done) => {
    const span = begin(tracing, request)
    request.ociSpan = span
    request.log = request.log.child(span.ids)
    endWith(request, reply, span)
    void span.run(done)
  })
  fastify.addHook('onError', ({ ociSpan }, _reply, error, done) => {
    const known = asOciError(error)
    const isAbort = error instanceof ClientAborted
    if (!isAbort) ociSpan?.note({ 'oci.error.code': known.code })
    if (!isAbort && known.status >= 500) ociSpan?.failed(error)
    done()
  })
}

function begin (tracing: Tracing, request: FastifyRequest): RequestSpan {
  const { method, url, protocol, host, ip, raw, headers, routeOptions } = request
  const route = routeName(routeOptions.url ?? '', routeOptions.config.ociResource)
  const attributes = requestAttributes({
    method,
    url,
    protocol,
    host,
    ip,
    httpVersion: raw.httpVersion,
    // Not a socket where requests are injected.
    peer: raw.socket.remoteAddress,
    userAgent: headers['user-agent'],
    contentLength: headers['content-length']
  }, route)
  return tracing.request({ name: `${method} ${route}`, attributes, headers })
}

function endWith (request: FastifyRequest, reply: FastifyReply, span: RequestSpan): void {
  const { raw } = request
  let isOver = false
  const finished = (isAborted: boolean): void => {
    if (isOver) return
    isOver = true
    const { name, reference } = (request.params ?? {}) as { name?: string, reference?: string }
    const { statusCode: status, headersSent } = reply.raw
    const contentLength = reply.getHeader('content-length')
    const attributes = answerAttributes({ status, isSilent: !headersSent, isAborted, contentLength: contentLength?.toString(), repository: name, reference })
    span.end(attributes, status >= 500 && !isAborted ? String(status) : undefined)
  }
  reply.raw.once('finish', () => { finished(raw.destroyed && !raw.complete) })
  reply.raw.once('close', () => { finished(!reply.raw.writableFinished) })
}

export default fp(requestTracingPlugin, { name: 'oci-request-tracing', fastify: '5.x', dependencies: ['oci-tracing'] })
