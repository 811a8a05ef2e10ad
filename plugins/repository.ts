import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { nameUser, tell } from './request-log.js'
import type { UploadQuery } from '../schemas/upload-routes.js'
import { ADMIN_ACCESS, CATALOG_ACCESS, openAccess, repositoryAccess } from '../services/auth/access.js'
import type { AccessController, AccessRecord, Grant } from '../services/auth/access.js'
import { AccessRefused } from '../services/auth/refusal.js'
import { OciError } from '../services/errors/oci-error.js'
import { parseRepositoryName } from '../services/reference/reference.js'
import type { RepositoryName } from '../services/reference/reference.js'
import { whenServed } from '../services/http/served.js'
import { parseMount } from '../services/http/mount.js'
import type { Repository } from '../services/registry/types.js'

export interface OciContext {
  /** Who was let in. */
  readonly grant: Grant
  /** The repository the route is about. */
  readonly repository: Repository
  /** What the policy remarks, for `Warning` headers. */
  readonly warnings: readonly string[]
  /** Whether the caller may pull from another repository too. */
  mayPull (name: RepositoryName): Promise<boolean>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before the handler of every route on a repository; null on the others. */
    oci: OciContext
    /** Who was let in; null until then, and on routes that are public. */
    ociGrant: Grant | null
    /** Why nobody was. */
    ociRefusal: OciError | null
  }
}

/**
 * The one place where access is decided: what the method needs on the route's repository is asked of the access
 * controller, on the decoded, validated name that storage will use too. Only then does the handler get a repository.
 */
async function repositoryPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociAuth, ociNamespace, ociPolicy, ociEvents, ociMiddleware } = fastify
  const asks = ociAuth !== openAccess
  // The type is what handlers of repository routes see; Fastify wants the shape declared before there is a value.
  fastify.decorateRequest('oci', null as unknown as OciContext)
  fastify.decorateRequest('ociGrant', null)
  fastify.decorateRequest('ociRefusal', null)

  // In callback form: where the answer is known at once, as in an open registry, nothing is awaited.
  fastify.addHook('preHandler', function enforceAccess (request, reply, done) {
    const { ociAccess } = request.routeOptions.config
    if (ociAccess === 'public') return done()
    tell(request, 'debug', 'authorizing request')
    try {
      const name = ociAccess === 'repository' ? repositoryName(request) : undefined
      const grant = ociAuth.authorize(request, accessRecords(request, name))
      if (grant instanceof Promise) return admitLater(request, reply, name, grant)
      admit(request, reply, name, grant)
    } catch (error) {
      return done(refusal(request, error))
    }
    done()
  })

  async function admitLater (request: FastifyRequest, reply: FastifyReply, name: RepositoryName | undefined, granting: Promise<Grant>): Promise<void> {
    try {
      admit(request, reply, name, await granting)
    } catch (error) {
      throw refusal(request, error)
    }
  }

  function admit (request: FastifyRequest, reply: FastifyReply, name: RepositoryName | undefined, grant: Grant): void {
    request.ociGrant = grant
    if (grant.user !== undefined) nameUser(request, grant.user)
    if (asks) tell(request, 'info', 'authorized request')
    if (name === undefined) return
    refuseSwitchedOff(request)
    const warnings: string[] = []
    let repository = ociNamespace.repository(name)
    if (!ociPolicy.isEmpty) {
      repository = ociPolicy.protect(repository, {
        grant,
        log: request.log,
        warn: text => { if (!warnings.includes(text)) warnings.push(text) },
        // A redirect to where storage serves it counts as well.
        ...(request.method === 'GET' ? { whenPulled: callback => { whenServed(reply.raw, status => { if (status < 300 || status === 307) callback() }) } } : {})
      })
    }
    repository = ociEvents.observe(repository, grant, request, reply)
    for (const decorate of ociMiddleware.repository) repository = decorate(repository)
    request.oci = { grant, repository, warnings, mayPull: other => mayPull(ociAuth, request, other) }
  }
}

const REFUSALS: ReadonlySet<number> = new Set([401, 403, 429])

/** Keeps for the audit what was refused, and with what name. */
function refusal (request: FastifyRequest, error: unknown): Error {
  if (request.ociGrant === null && OciError.is(error)) request.ociRefusal = error
  if (error instanceof AccessRefused && error.user !== undefined) nameUser(request, error.user)
  // A client that has not been asked for credentials yet is the beginning of every login.
  const { ociRefusal: refused, headers: { authorization } } = request
  if (refused !== null && authorization !== undefined && REFUSALS.has(refused.status)) tell(request, 'warning', `error authorizing context: ${refused.message}`)
  // JavaScript lets a controller of the host's throw anything.
  return error instanceof Error || OciError.is(error) ? error : new OciError('UNKNOWN', { cause: error })
}

async function mayPull (controller: AccessController<FastifyRequest>, request: FastifyRequest, name: RepositoryName): Promise<boolean> {
  try {
    await controller.authorize(request, [{ type: 'repository', name, action: 'pull' }])
    return true
  } catch (error) {
    if (OciError.is(error) && error.status < 500) return false
    throw error
  }
}

/** A route that needs a name and has none is refused: the empty name breaks the grammar. */
function repositoryName ({ params }: FastifyRequest): RepositoryName {
  return parseRepositoryName((params as { name?: string }).name ?? '')
}

function accessRecords (request: FastifyRequest, name: RepositoryName | undefined): readonly AccessRecord[] {
  const { ociAccess, ociResource } = request.routeOptions.config
  if (ociAccess === 'catalog') return CATALOG_ACCESS
  if (ociAccess === 'admin') return ADMIN_ACCESS
  if (name === undefined || ociResource === undefined) return []
  const mount = ociResource === 'upload' ? parseMount(request.query as UploadQuery, name) : undefined
  return repositoryAccess({ method: request.method, resource: ociResource, name, from: mount?.from })
}

/** @throws {OciError} UNSUPPORTED in read-only mode and for deletes that are switched off */
function refuseSwitchedOff ({ method, routeOptions, server }: FastifyRequest): void {
  if (method === 'GET' || method === 'HEAD') return
  const { storage } = server.ociConfig
  if (storage.maintenance.readonly.enabled) {
    throw new OciError('UNSUPPORTED', { detail: 'the registry is read-only', headers: { allow: 'GET, HEAD' } })
  }
  const { ociResource } = routeOptions.config
  if (method !== 'DELETE' || ociResource === undefined || ociResource === 'upload-session' || storage.delete.enabled) return
  const allow = [...server.ociAllow.get(ociResource) ?? []].filter(name => name !== 'DELETE').sort().join(', ')
  throw new OciError('UNSUPPORTED', { detail: 'deleting is switched off: storage.delete.enabled', headers: { allow } })
}

export default fp(repositoryPlugin, {
  name: 'oci-repository',
  fastify: '5.x',
  dependencies: ['oci-config', 'oci-auth', 'oci-namespace', 'oci-routing', 'oci-notifications', 'oci-middleware', 'oci-policy', 'oci-request-log']
})
