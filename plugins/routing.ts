import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { OciError } from '../services/errors/oci-error.js'
import { resourceOfUrl, splitResourcePath } from '../services/reference/resource-path.js'
import type { Resource } from '../services/reference/resource-path.js'

/** What a route is about, and so what its caller must be allowed to do. `public`: nothing is shown or changed. */
export type RouteAccess = 'repository' | 'catalog' | 'admin' | 'base' | 'public'

declare module 'fastify' {
  interface FastifyInstance {
    /** Methods each resource answers, for the `Allow` header of a 405. */
    ociAllow: ReadonlyMap<Resource, ReadonlySet<string>>
  }
  interface FastifyContextConfig {
    ociResource?: Resource
    ociAccess?: RouteAccess
  }
}

/**
 * Routes on names with slashes. A parameter of the router ends at the next slash, so every endpoint is a route on
 * `/v2/*`, told apart by a constraint on the tail of the URL; the name is what remains in front of it.
 */
async function routingPlugin (fastify: FastifyInstance): Promise<void> {
  const allow = new Map<Resource, Set<string>>()
  fastify.decorate('ociAllow', allow)
  // The router belongs to the whole server: a second registry in it finds the strategy in place.
  if (!fastify.hasConstraintStrategy('ociResource')) fastify.addConstraintStrategy(strategy())

  fastify.addHook('onRoute', route => { recordRoute(allow, route) })
  fastify.addHook('onRequest', nameParams)
  fastify.addHook('onRequest', forgetBrokenType)

  // Bodies stay streams until access is decided, whatever their type is called (R-024).
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('*', (_request, payload, done) => { done(null, payload) })
}

function strategy () {
  return {
    name: 'ociResource',
    storage () {
      const handlers = new Map<unknown, unknown>()
      return {
        get: (kind: unknown) => handlers.get(kind) ?? null,
        set: (kind: unknown, handler: unknown) => { handlers.set(kind, handler) }
      }
    },
    validate () {},
    deriveConstraint: (request: IncomingMessage) => resourceOfUrl(request.url ?? '')
  } as unknown as Parameters<FastifyInstance['addConstraintStrategy']>[0] // its types know string values only
}

/** A route that does not say what access it needs must not exist. */
function recordRoute (allow: Map<Resource, Set<string>>, { config, method, url }: RouteOptions): void {
  if (config?.ociAccess === undefined) throw new Error(`route ${String(method)} ${url} declares no access`)
  const { ociResource } = config
  if (ociResource === undefined) return
  const methods = allow.get(ociResource) ?? new Set()
  allow.set(ociResource, methods)
  for (const name of [method].flat()) methods.add(name)
}

/** Replaces the wildcard by `{ name, reference }`, decoded once, here. In callback form: it awaits nothing. */
function nameParams (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  const { ociResource } = request.routeOptions.config
  if (ociResource === undefined) return done()
  const path = splitResourcePath((request.params as { '*': string })['*'])
  // The router classified the raw URL; an escaped slash can make the decoded path another resource. Nobody means that.
  if (path?.resource !== ociResource) {
    return done(new OciError('NAME_INVALID', { status: 404, message: 'no such path', detail: 'the path names no repository' }))
  }
  request.params = { name: path.name, reference: path.reference }
  done()
}

/** R-024: a Content-Type that Fastify cannot read is none, and no reason to refuse the bytes that come with it. */
function forgetBrokenType (request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (request.headers['content-type'] !== undefined && (request.mediaType ?? '') === '') {
    request.headers = { 'content-type': undefined }
  }
  done()
}

export default fp(routingPlugin, { name: 'oci-routing', fastify: '5.x', dependencies: ['oci-errors'] })
