import type { DriverError } from '../errors/driver-error.js'
import { explain, storeError } from './store-error.js'
import type { StoreErrors } from './store-error.js'

const ERRORS: StoreErrors = {
  driver: 's3',
  // Also what a store says of a path that is no object, or of an upload that somebody ended.
  missing: new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload']),
  changed: new Set(['PreconditionFailed']),
  explained: {
    NoSuchBucket: 'there is no such bucket',
    InvalidAccessKeyId: 'the store does not know this access key',
    SignatureDoesNotMatch: 'the store refused the signature: is the secret key right?',
    ExpiredToken: 'the session token has expired',
    InvalidToken: 'the store refused the session token',
    CredentialsProviderError: 'there are no credentials',
    AccessDenied: 'access is denied to these credentials',
    Forbidden: 'access is denied to these credentials',
    RequestTimeTooSkewed: 'the clock of this machine differs too much from that of the store',
    AuthorizationHeaderMalformed: 'the bucket is in another region',
    PermanentRedirect: 'the bucket is in another region',
    SlowDown: 'the store asks to slow down',
    QuotaExceeded: 'the quota of the store is used up'
  },
  codeOf
}

/** Wraps what the SDK threw. */
export function s3Error (path: string, error: unknown): DriverError {
  return storeError(ERRORS, path, error)
}

/** What went wrong, in words. */
export function explainS3 (error: unknown): string {
  return explain(ERRORS, error)
}

/** The error's code, as the store or Node names it. */
export function codeOf (error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const code = (error as NodeJS.ErrnoException).code
  if (error.name !== 'Error' && error.name !== 'AggregateError') return error.name
  return code ?? error.name
}

export function isMissing (error: unknown): boolean {
  return ERRORS.missing.has(codeOf(error))
}
