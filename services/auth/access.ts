import type { IncomingHttpHeaders } from 'node:http'
import type { RepositoryName } from '../reference/reference.js'
import type { Resource } from '../reference/resource-path.js'
import type { Visibility } from '../registry/types.js'
import { parseBasic } from './basic.js'

export type Action = 'pull' | 'push' | 'delete' | '*'

/** One thing a request wants to do, in the words of a token's scope: `repository:team/app:pull`. */
export interface AccessRecord {
  readonly type: 'repository' | 'registry'
  readonly name: string
  readonly action: Action
}

/** Who is let in. `user` reaches logs, audit lines and events. */
export interface Grant {
  readonly user?: string
  /** Classes of artifacts the caller may push, where a token is for certain ones: `image`, `plugin`. */
  readonly classes?: readonly string[]
  readonly groups?: readonly string[]
  /** What the caller may see of the registry, where that is not all of it: the catalog lists nothing else. */
  readonly visible?: Visibility
}

/**
 * What the registry itself looks at in a request. What a controller is given is the request of the server it runs in:
 * in Fastify the `FastifyRequest`, with the host's session and all it is decorated with.
 */
export interface AccessRequest {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** The client's address; behind a proxy what the server's `trustProxy` makes of it. */
  readonly ip: string
  readonly protocol: string
  /** As the client knows the server: name and port. */
  readonly host: string
}

/**
 * Decides whether a request may do what its records say; no records means: valid credentials are enough.
 * Throws {@link OciError} UNAUTHORIZED with a `www-authenticate` header, or DENIED.
 */
export interface AccessController<Request extends AccessRequest = AccessRequest> {
  authorize (request: Request, records: readonly AccessRecord[]): Grant | Promise<Grant>
  /** Of what the controller itself opened. A host's controller is never closed by the registry. */
  close? (): Promise<void>
}

/** A controller that is but a function. */
export type Authorize<Request extends AccessRequest = AccessRequest> = AccessController<Request>['authorize']

const EVERYBODY: Grant = {}
/** A name that nobody checks may be as long as a header. */
const MAX_CLAIM = 256

/** Everybody may do everything. Who gives a name is called so in logs and events, as in docker's registry; it proves nothing. */
export const openAccess: AccessController = {
  authorize ({ headers: { authorization } }) {
    const claimed = authorization === undefined ? undefined : parseBasic(authorization)?.user
    return claimed === undefined || claimed === '' ? EVERYBODY : { user: claimed.slice(0, MAX_CLAIM) }
  }
}

const CANCEL: readonly Action[] = ['pull', 'push']
const ACTIONS: Readonly<Record<string, readonly Action[]>> = {
  GET: ['pull'],
  HEAD: ['pull'],
  POST: ['pull', 'push'],
  PUT: ['pull', 'push'],
  PATCH: ['pull', 'push'],
  DELETE: ['delete']
}

export interface RepositoryRequest {
  readonly method: string
  readonly resource: Resource
  readonly name: RepositoryName
  /** The repository a blob is to be mounted from. */
  readonly from?: RepositoryName | undefined
}

/** What a request needs: by its method on its repository, and to pull from the source of a mount. */
export function repositoryAccess ({ method, resource, name, from }: RepositoryRequest): AccessRecord[] {
  // clients cancel their uploads with the token they push with.
  const actions = method === 'DELETE' && resource === 'upload-session' ? CANCEL : ACTIONS[method]
  if (actions === undefined) throw new TypeError(`no access rule for ${method}`)
  const records: AccessRecord[] = actions.map(action => ({ type: 'repository', name, action }))
  if (from !== undefined && from !== name) records.push({ type: 'repository', name: from, action: 'pull' })
  return records
}

export const CATALOG_ACCESS: readonly AccessRecord[] = [{ type: 'registry', name: 'catalog', action: '*' }]

/** What is for those who run the registry: a token's scope `registry:admin:*`. */
export const ADMIN_ACCESS: readonly AccessRecord[] = [{ type: 'registry', name: 'admin', action: '*' }]
