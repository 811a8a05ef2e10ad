import type { BaseLogger } from 'pino'
import type { OciCode } from '../errors/oci-error.js'
import type { Resource } from '../reference/resource-path.js'

/** What happened to a request, as far as the audit is concerned with it. */
export interface AuditedRequest {
  readonly method: string
  readonly status: number
  /** The client's address. */
  readonly remote: string
  readonly id: string
  readonly resource: Resource | 'catalog' | 'base' | 'token'
  readonly repository?: string | undefined
  /** Tag, digest, or upload session: what the path says. */
  readonly reference?: string | undefined
  /** Of the content that was written, as the answer tells it. */
  readonly digest?: string | undefined
  /** Source of a mount. */
  readonly from?: string | undefined
  readonly user?: string | undefined
  readonly claimed?: string | undefined
  readonly code?: OciCode | undefined
  readonly hasCredentials: boolean
  /** Whether a limit of the server refused it, which says nothing of what its caller may do. */
  readonly isLimited?: boolean
}

/**
 * `challenged`: refused for want of credentials, which most clients only send when they are asked. `refused`: not
 * allowed, or wrong credentials, or too many of those. `failed`: allowed, and came to nothing.
 */
export type AuditResult = 'done' | 'challenged' | 'refused' | 'failed'

/** Who did what with what outcome; `claimed` is a name that nobody proved. */
export interface AuditEntry {
  readonly action: 'login' | 'pull' | 'push' | 'mount' | 'cancel' | 'delete' | 'catalog'
  readonly result: AuditResult
  readonly user?: string
  readonly claimed?: string
  readonly repository?: string
  readonly resource: string
  readonly reference?: string
  readonly digest?: string
  readonly from?: string
  readonly method: string
  readonly status: number
  readonly code?: OciCode
  readonly remote: string
  readonly request: string
}

const REFUSED = new Set([401, 403, 429])
/** A name may be as long as a header. */
const MAX_CLAIM = 64

interface AuditLog extends Pick<BaseLogger, 'info'> {
  child (fields: object, options: { readonly level: 'info' }): Pick<BaseLogger, 'info'>
}

/** Writes an entry, at level info; `always`: also where the log is for what is worse than that. */
export function writeAudit (log: AuditLog, entry: AuditEntry | undefined, { always }: { readonly always: boolean }): void {
  if (entry === undefined) return
  const target = always ? log.child({}, { level: 'info' }) : log
  target.info({ audit: entry }, 'audit')
}

/** The audit's entry for a request: for every write, and for everything that is refused. Undefined for what need not be told. */
export function auditEntry (request: AuditedRequest): AuditEntry | undefined {
  const { method, status } = request
  const isRead = method === 'GET' || method === 'HEAD'
  if (isRead && !isRefused(request)) return undefined
  const { remote, id, resource, claimed } = request
  const about: Record<string, string | undefined> = {
    user: request.user,
    claimed: claimed?.slice(0, MAX_CLAIM),
    repository: request.repository,
    reference: request.reference === '' ? undefined : request.reference,
    digest: request.digest,
    from: request.from,
    code: request.code
  }
  const known = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined))
  return { action: actionOf(request, isRead), result: resultOf(request), ...known, resource, method, status, remote, request: id }
}

function actionOf ({ method, resource, from, status }: AuditedRequest, isRead: boolean): AuditEntry['action'] {
  if (resource === 'base' || resource === 'token') return 'login'
  if (resource === 'catalog') return 'catalog'
  if (isRead) return 'pull'
  if (method === 'DELETE') return resource === 'upload-session' ? 'cancel' : 'delete'
  // Started instead of mounted, it is a push.
  return from !== undefined && status !== 202 ? 'mount' : 'push'
}

function resultOf (request: AuditedRequest): AuditResult {
  const { status, hasCredentials, code } = request
  if (status < 400) return 'done'
  if (code !== undefined && status === 401 && !hasCredentials) return 'challenged'
  return isRefused(request) ? 'refused' : 'failed'
}

function isRefused ({ status, isLimited = false }: AuditedRequest): boolean {
  return REFUSED.has(status) && !isLimited
}
