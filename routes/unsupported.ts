import { OciError } from '../services/errors/oci-error.js'
import { resourceOfUrl, splitResourcePath } from '../services/reference/resource-path.js'
import type { RouteScope } from './types.js'

/**
 * What no other route takes: 405 with `Allow` for a resource that exists, 404 for everything else.
 * Routes rather than a not-found handler, because that one belongs to the host. OPTIONS is the host's too (CORS).
 */
export default async function unsupportedRoutes (fastify: RouteScope): Promise<void> {
  const { ociAllow } = fastify
  const config = { ociAccess: 'public' } as const
  const schema = { hide: true, querystring: { type: 'object' } }
  const exact = ['/v2/', '/v2', '/v2/_catalog', '/v2/_oci/ext/discover']

  fastify.route({
    method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/v2/*',
    config,
    schema,
    handler ({ url, method, params }) {
      const resource = splitResourcePath((params as { '*': string })['*'])?.resource
      const methods = resource === undefined || resource !== resourceOfUrl(url) ? undefined : ociAllow.get(resource)
      if (methods === undefined || methods.has(method)) throw new OciError('NAME_INVALID', { status: 404, message: 'no such path' })
      throw methodNotAllowed([...methods])
    }
  })
  for (const url of exact) {
    // With ignoreTrailingSlash, an option of the host's router, two of them are one.
    if (fastify.hasRoute({ method: 'POST', url: `${fastify.prefix}${url}` })) continue
    fastify.route({ method: ['POST', 'PUT', 'PATCH', 'DELETE'], url, config, schema, handler () { throw methodNotAllowed(['GET', 'HEAD']) } })
  }
}

function methodNotAllowed (methods: string[]): OciError {
  return new OciError('UNSUPPORTED', { headers: { allow: methods.sort().join(', ') } })
}
