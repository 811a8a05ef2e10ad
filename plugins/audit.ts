import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AccessRefused } from '../services/auth/refusal.js'
import { auditEntry, writeAudit } from '../services/log/audit.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** The client's address, of a request that writes. */
    ociRemote: string | null
    /** A limit of the server refused it. */
    ociLimited: boolean
  }
}

/** One line in the log for every write and every refusal, under the key `audit`. */
async function auditPlugin (fastify: FastifyInstance): Promise<void> {
  fastify.decorateRequest('ociRemote', null)
  fastify.decorateRequest('ociLimited', false)
  // All in callback form: for a read that was let in they do nothing.
  fastify.addHook('onRequest', (request, _reply, done) => {
    // The address of a client that goes away is lost, unless somebody asked for it before.
    if (!isRead(request)) request.ociRemote = request.ip
    done()
  })
  // Not when the answer has arrived: what was done was done, also when nobody is there any more to hear it.
  fastify.addHook('onSend', (request, reply, _payload, done) => {
    if (request.routeOptions.config.ociAccess !== 'public' && !(reply.statusCode < 400 && isRead(request))) audit(request, reply)
    done()
  })
}

function isRead ({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}

function audit (request: FastifyRequest, reply: FastifyReply): void {
  const { method, ip, id, headers, ociRemote, ociGrant, ociRefusal, ociLimited, routeOptions: { config: { ociResource, ociAccess } } } = request
  const { name, reference } = (request.params ?? {}) as { name?: string, reference?: string }
  const { mount, from } = (request.query ?? {}) as { mount?: string[], from?: string[] }
  const digest = reply.getHeader('docker-content-digest')
  const refused = ociRefusal instanceof AccessRefused ? ociRefusal : undefined
  const entry = auditEntry({
    method,
    status: reply.statusCode,
    remote: ociRemote ?? ip,
    id,
    resource: ociResource ?? (ociAccess === 'catalog' ? 'catalog' : 'base'),
    repository: name,
    reference,
    digest: typeof digest === 'string' ? digest : undefined,
    from: ociResource === 'upload' && mount !== undefined ? from?.[0] : undefined,
    user: ociGrant?.user ?? refused?.user,
    claimed: refused?.claimed,
    code: ociRefusal?.code,
    hasCredentials: headers.authorization !== undefined,
    isLimited: ociLimited
  })
  writeAudit(request.log, entry, request.server.ociConfig.log.audit)
}

export default fp(auditPlugin, { name: 'oci-audit', fastify: '5.x', dependencies: ['oci-repository'] })
