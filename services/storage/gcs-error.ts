import type { DriverError } from '../errors/driver-error.js'
import { isTransientStatus } from './retrying.js'
import { explain, storeError } from './store-error.js'
import type { StoreErrors } from './store-error.js'

/** An answer of the service that is an error. `reason` is the service's word for it. */
export class GcsRefusal extends Error {
  readonly status: number
  readonly reason: string

  constructor (status: number, reason: string, message: string) {
    super(message)
    this.name = 'GcsRefusal'
    this.status = status
    this.reason = reason
  }
}

const ERRORS: StoreErrors = {
  driver: 'gcs',
  missing: new Set(['notFound']),
  changed: new Set(['conditionNotMet']),
  explained: {
    bucketNotFound: 'there is no such bucket',
    authError: 'the service does not take these credentials',
    required: 'the service wants credentials',
    forbidden: 'access is denied to these credentials',
    rateLimitExceeded: 'the service asks to slow down',
    invalid_grant: 'the service does not take these credentials: is the key still valid, and the clock of this machine right?',
    ENOENT: 'there is no such keyfile'
  },
  codeOf
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'authError', 403: 'forbidden', 404: 'notFound', 412: 'conditionNotMet', 416: 'requestedRangeNotSatisfiable', 429: 'rateLimitExceeded'
}

/** What stands between us and the service, and may pass. */
const NETWORK = /^(?:ECONN(?:RESET|REFUSED|ABORTED)|EPIPE|ETIMEDOUT|E(?:HOST|NET)UNREACH|ENETDOWN|EAI_AGAIN|ENOTFOUND|UND_ERR_(?:SOCKET|(?:CONNECT|HEADERS|BODY)_TIMEOUT))$/

/** Wraps what a request threw. */
export function gcsError (path: string, error: unknown): DriverError {
  return storeError(ERRORS, path, error)
}

/** What went wrong, in words. */
export function explainGcs (error: unknown): string {
  return explain(ERRORS, error)
}

/** The error's code, as the service, Google's library or Node names it. */
export function codeOf (error: unknown): string {
  if (error instanceof GcsRefusal) return error.reason
  if (!(error instanceof Error)) return 'unknown'
  if (error.message.includes('invalid_grant')) return 'invalid_grant'
  return (error as NodeJS.ErrnoException).code ?? error.name
}

export function isMissing (error: unknown): boolean {
  return ERRORS.missing.has(codeOf(error))
}

/** Whether the error says that the object has another generation, or that there is none. */
export function isConflict (error: unknown): boolean {
  return codeOf(error) === 'conditionNotMet' || isMissing(error)
}

/** Whether another attempt may do: the service is in trouble, or the network. */
export function isTransient (error: unknown): boolean {
  // Google's library tells the status of an answer in the same place.
  const { status } = error as { status?: unknown }
  return typeof status === 'number' ? isTransientStatus(status) : NETWORK.test(codeOf(error))
}

/** What the service says in the body of an error: JSON, or a line of text. */
export function refusal (status: number, body: string): GcsRefusal {
  const usual = REASONS[status] ?? `HTTP ${status}`
  try {
    const { error } = JSON.parse(body) as { error?: { message?: string, errors?: Array<{ reason?: string }> } }
    return new GcsRefusal(status, error?.errors?.[0]?.reason ?? usual, error?.message ?? usual)
  } catch {
    return new GcsRefusal(status, usual, /^[^<\n]{1,200}$/.test(body) ? body : usual)
  }
}
