import { getExplanation } from '../schemas/explain-route.js'
import { openAccess } from '../services/auth/access.js'
import { OciError } from '../services/errors/oci-error.js'
import { parseReference, parseRepositoryName } from '../services/reference/reference.js'
import type { RouteScope } from './types.js'

const ACTIONS = ['pull', 'push', 'delete'] as const

/** `GET /_oci/explain`, for those who run the registry. Where there is no access control nobody can be told from them: it is not there. */
export default async function explainRoutes (fastify: RouteScope): Promise<void> {
  const { ociExplainer, ociAuth } = fastify
  if (ociAuth === openAccess) return

  fastify.route({
    method: 'GET',
    url: '/_oci/explain',
    schema: getExplanation,
    config: { ociAccess: 'admin' },
    exposeHeadRoute: false,
    async handler ({ query, ociGrant }, reply) {
      const [repository = ''] = query.repository ?? []
      const action = ACTIONS.find(known => known === query.action?.[0])
      if (action === undefined) throw new OciError('UNSUPPORTED', { status: 400, message: 'invalid request', detail: `action must be one of ${ACTIONS.join(', ')}` })
      const [reference = ''] = query.reference ?? []
      const [user = ociGrant?.user ?? ''] = query.user ?? []
      const explanation = await ociExplainer.explain({
        repository: parseRepositoryName(repository),
        action,
        user: user === '' ? undefined : user,
        ...(reference === '' ? {} : { reference: parseReference(reference) })
      })
      return reply.headers({ 'content-type': 'application/json', 'cache-control': 'no-store' }).send(Buffer.from(JSON.stringify(explanation)))
    }
  })
}
