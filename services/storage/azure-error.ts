import type { DriverError } from '../errors/driver-error.js'
import { isTransientStatus } from './retrying.js'
import { explain, storeError } from './store-error.js'
import type { StoreErrors } from './store-error.js'

const ERRORS: StoreErrors = {
  driver: 'azure',
  missing: new Set(['BlobNotFound', 'ResourceNotFound']),
  changed: new Set(['ConditionNotMet', 'SourceConditionNotMet']),
  explained: {
    ContainerNotFound: 'there is no such container',
    AuthenticationFailed: 'the store refused the signature: is the account key right, and the clock of this machine?',
    AuthorizationFailure: 'access is denied to these credentials',
    AuthorizationPermissionMismatch: 'these credentials need the role Storage Blob Data Contributor',
    KeyBasedAuthenticationNotPermitted: 'the account does not take account keys: give credentials',
    InvalidBlobType: 'an append blob, as docker\'s registry makes of an upload: it cannot go on here',
    ServerBusy: 'the store asks to slow down',
    AccountIsDisabled: 'the account is disabled',
    AggregateAuthenticationError: 'neither the environment nor the workload nor the machine has credentials'
  },
  codeOf
}

/** What no attempt changes: errors of identities and of what was asked for, and what we ended ourselves. */
const LASTING = /^(?:AbortError|AuthenticationError|AuthenticationRequiredError|CredentialUnavailableError|AggregateAuthenticationError|RangeError|TypeError)$/

/** Wraps what the SDK threw. */
export function azureError (path: string, error: unknown): DriverError {
  return storeError(ERRORS, path, told(error))
}

/** What went wrong, in words. */
export function explainAzure (error: unknown): string {
  return explain(ERRORS, told(error))
}

/** The error's code, as the store or Node names it. */
export function codeOf (error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code, statusCode } = error as { code?: string, statusCode?: number }
  if (code !== undefined && code !== '') return code
  // An answer without a body, from something in between.
  if (statusCode === 404) return 'BlobNotFound'
  return statusCode === undefined ? error.name : `HTTP ${statusCode}`
}

export function isMissing (error: unknown): boolean {
  return ERRORS.missing.has(codeOf(error))
}

/** Whether another attempt may do: the store is in trouble, or the network. */
export function isTransient (error: unknown): boolean {
  if (!(error instanceof Error) || LASTING.test(error.name)) return false
  const { statusCode } = error as { statusCode?: number }
  return statusCode === undefined || isTransientStatus(statusCode) || codeOf(error) === 'PARSE_ERROR'
}

/** The store adds lines with ids and times to its messages. */
function told (error: unknown): unknown {
  if (!(error instanceof Error) || !error.message.includes('\n')) return error
  return Object.assign(new Error(error.message.slice(0, error.message.indexOf('\n'))), { name: error.name, code: codeOf(error) })
}
