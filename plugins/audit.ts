import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AccessRefused } from '../services/auth/refusal.js'
import { auditEntry } from '../services/log/audit.js'

/** One line in the log for every write and every refusal, under the key `audit`. */
async function auditPlugin (fastify: FastifyInstance): Promise<void> {
  // In callback form: for a read that was let in it does nothing.
  fastify.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions: { config: { ociAccess } } } = request
    if (ociAccess !== 'public' && !(reply.statusCode < 400 && (method === 'GET' || method === 'HEAD'))) audit(request, reply)
    done()
  })
}

function audit (request: FastifyRequest, reply: FastifyReply): void {
  const { method, ip, id, headers, ociGrant, ociRefusal, routeOptions: { config: { ociResource, ociAccess } } } = request
  const { name, reference } = request.params as { name?: string, reference?: string }
  const { mount, from } = request.query as { mount?: string[], from?: string[] }
  const digest = reply.getHeader('docker-content-digest')
  const refused = ociRefusal instanceof AccessRefused ? ociRefusal : undefined
  const entry = auditEntry({
    method,
    status: reply.statusCode,
    remote: ip,
    id,
    resource: ociResource ?? (ociAccess === 'catalog' ? 'catalog' : 'base'),
    repository: name,
    reference,
    digest: typeof digest === 'string' ? digest : undefined,
    from: ociResource === 'upload' && mount !== undefined ? from?.[0] : undefined,
    user: ociGrant?.user ?? refused?.user,
    claimed: refused?.claimed,
    code: ociRefusal?.code,
    hasCredentials: headers.authorization !== undefined
  })
  if (entry !== undefined) request.log.info({ audit: entry }, 'audit')
}

export default fp(auditPlugin, { name: 'oci-audit', fastify: '5.x', dependencies: ['oci-repository'] })
