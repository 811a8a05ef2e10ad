import type { FastifyContextConfig, FastifySchema } from 'fastify'
import { resourceParams } from '../schemas/common.js'
import type { Resource } from '../services/reference/resource-path.js'

/** What every route on a resource has in common; spread into the route's options. */
export function resource (kind: Resource) {
  const config = { ociResource: kind, ociAccess: 'repository', swaggerTransform: documented(kind) } as const
  return {
    url: '/v2/*',
    constraints: { ociResource: kind },
    // The automatic HEAD route would run the GET handler, and open a blob to throw it away.
    exposeHeadRoute: false,
    // For @fastify/compress, which a host may have for all routes: digests, ranges and lengths are those of the raw bytes.
    compress: false as const,
    decompress: false as const,
    // @fastify/swagger, which a host may have, declares the type of its own key.
    config: config as FastifyContextConfig
  }
}

const DOCUMENTED: Readonly<Record<Resource, string>> = {
  manifest: '/manifests/:reference',
  blob: '/blobs/:reference',
  upload: '/blobs/uploads/',
  'upload-session': '/blobs/uploads/:reference',
  tags: '/tags/list',
  referrers: '/referrers/:reference',
  extensions: '/_oci/ext/discover'
}

/** What a route's schema says beside what Fastify itself reads. */
interface DocumentedSchema extends FastifySchema { readonly consumes?: readonly string[] }

/**
 * In an OpenAPI document the routes stand under the paths that clients know, not under the router's wildcard; and they
 * have bodies, which Fastify must not hear of, because it would want to read them.
 */
function documented (kind: Resource) {
  return ({ schema, url }: { schema: DocumentedSchema, url: string }): { schema: FastifySchema, url: string } => {
    const path = `:name${DOCUMENTED[kind]}`
    const { name } = resourceParams.properties
    const params = path.endsWith(':reference') ? resourceParams : { type: 'object', required: ['name'], properties: { name } }
    const body = schema.consumes === undefined ? {} : { body: { type: 'string', format: 'binary' } }
    return { schema: { ...schema, params, ...body }, url: url.replace(/\*$/, path) }
  }
}
