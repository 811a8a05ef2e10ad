import type { Writable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { clientAddress } from '../services/http/client-address.js'
import { whenOver } from '../services/http/served.js'
import { transferred } from '../services/http/transferred.js'
import { accessFormat } from '../services/log/access-line.js'
import type { ServedRequest } from '../services/log/access-line.js'
import { AccessLog } from '../services/log/access-log.js'
import { accessFormatName } from '../services/log/configured.js'
import type { LoggedRequest } from '../services/log/logged-request.js'
import { requestFields } from '../services/log/request-fields.js'
import type { RequestFacts } from '../services/log/request-fields.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set where it is the registry that logs requests, and not a host. */
    ociLogged?: LoggedRequest
  }
}

export interface RequestLogOptions {
  /** Where a host wants an access log of the registry. */
  readonly accessLog?: Pick<Writable, 'write' | 'on'> | undefined
}

/** How long a slow reader may take at the end. */
const CLOSE_MS = 5000

/** The access log of an embedded registry, if its host wants one. Everything else about requests is in the host's own log. */
async function requestLogPlugin (fastify: FastifyInstance, { accessLog: stream }: RequestLogOptions): Promise<void> {
  const { ociConfig: { log: config }, log } = fastify
  if (stream === undefined || config.accesslog.disabled) return
  const access = new AccessLog({ format: accessFormat(accessFormatName(config), config.fields), stream, log })
  fastify.addHook('onRequest', (request, reply, done) => {
    followed(request, reply, served => { access.add(served) })
    done()
  })
  fastify.addHook('onClose', async () => { await access.close(CLOSE_MS) })
}

/** Calls back once, when the request, which `began` then, is over or its client has gone. */
export function followed (request: FastifyRequest, reply: FastifyReply, over: (served: ServedRequest) => void, began = performance.now()): void {
  const { ip, raw } = request
  // Of a client that goes away the address is lost.
  const remote = remoteOf(request)
  whenOver(reply.raw, isWhole => {
    const { ociLogged, ociGrant } = request
    const isAborted = !isWhole || ociLogged?.isAborted === true
    // What docker's registry notes for an answer that nobody waited for.
    const status = isAborted && !reply.raw.headersSent ? 499 : reply.raw.statusCode
    const type = reply.getHeader('content-type')
    const { id, method, host, url, proto, headers, resource, name, reference, trace } = factsOf(request, remote)
    // Named one by one: an object that is spread into another one costs more than all else here.
    over({
      id,
      method,
      host,
      url,
      proto,
      headers,
      remote,
      resource,
      name,
      reference,
      trace,
      address: ip?.replace(/^::ffff:(?=\d+\.)/, ''),
      status,
      contentType: typeof type === 'string' ? type : undefined,
      written: transferred(raw, { status, declared: reply.getHeader('content-length'), isWhole: !isAborted }).sent,
      ms: performance.now() - began,
      isAborted,
      user: ociLogged?.user ?? ociGrant?.user
    })
  })
}

/** Names who makes a request, in its lines from now on. */
export function nameUser (request: FastifyRequest, user: string): void {
  request.log = request.log.child({ 'auth.user.name': user })
  if (request.ociLogged !== undefined) request.ociLogged.user = user
}

/** A line about a request under way, as docker's registry has it; in the log of a host it is there for debugging only. */
export function tell (request: FastifyRequest, level: 'debug' | 'info' | 'warning', message: string): void {
  const { ociLogged, log } = request
  if (ociLogged !== undefined) ociLogged.write(level, message, () => requestFields(factsOf(request, ociLogged.remote)))
  else if (log.level === 'debug' || log.level === 'trace') log.debug(requestFields(factsOf(request, remoteOf(request))), message)
}

function remoteOf (request: FastifyRequest): string | undefined {
  return request.ociLogged === undefined ? clientAddress(request) : request.ociLogged.remote
}

function factsOf (request: FastifyRequest, remote: string | undefined): RequestFacts {
  const { id, method, host, raw, params, routeOptions, ociSpan } = request
  const { name, reference } = (params ?? {}) as { name?: string, reference?: string }
  // As they came: the router and our hooks change some.
  const { url = '', httpVersion, headers } = raw
  return { id, method, host, url, proto: `HTTP/${httpVersion}`, headers, remote, resource: routeOptions.config?.ociResource, name, reference, trace: ociSpan?.ids }
}

export default fp(requestLogPlugin, { name: 'oci-request-log', fastify: '5.x', dependencies: ['oci-config'] })
