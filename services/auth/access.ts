import type { RepositoryName } from '../reference/reference.js'
import type { Resource } from '../reference/resource-path.js'

export type Action = 'pull' | 'push' | 'delete' | '*'

/** One thing a request wants to do, in the words of a token's scope: `repository:team/app:pull`. */
export interface AccessRecord {
  readonly type: 'repository' | 'registry'
  readonly name: string
  readonly action: Action
}

/** Who is allowed; `user` reaches logs and events. */
export interface Grant {
  readonly user?: string
  /** Classes of artifacts the caller may push, where a token is for certain ones: `image`, `plugin`. */
  readonly classes?: readonly string[]
}

/** What a controller sees of a request. */
export interface AccessRequest {
  readonly method: string
  /** The Authorization header. */
  readonly authorization: string | undefined
}

/**
 * Decides whether a request may do what its records say; no records means: valid credentials are enough.
 * Throws {@link OciError} UNAUTHORIZED with a `www-authenticate` header, or DENIED.
 */
export interface AccessController {
  authorize (request: AccessRequest, records: readonly AccessRecord[]): Grant | Promise<Grant>
}

/** Everybody may do everything. */
export const openAccess: AccessController = {
  authorize: () => ({})
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
