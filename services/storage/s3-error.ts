import { DriverError } from '../errors/driver-error.js'

/** Also what a store says of a path that is no object, or of an upload that somebody ended. */
const MISSING: ReadonlySet<string> = new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload'])

const EXPLAINED: Readonly<Record<string, string>> = {
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
}

/** Wraps what the SDK threw. The store's own code and message are told, and nothing of the request. */
export function s3Error (path: string, error: unknown): DriverError {
  if (DriverError.is(error)) return error
  const code = codeOf(error)
  const kind = MISSING.has(code) ? 'path-not-found' : code === 'PreconditionFailed' ? 'changed' : 'failed'
  return new DriverError(kind, { driver: 's3', path, cause: kind === 'failed' ? withoutRequest(error) : undefined, detail: explainS3(error) })
}

/** What went wrong, in words. */
export function explainS3 (error: unknown): string {
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  const explained = EXPLAINED[code]
  if (explained !== undefined) return `${explained} (${code})`
  return message === '' || message === code ? code : `${code}: ${message}`
}

/** The error's code, as the store or Node names it. */
export function codeOf (error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const code = (error as NodeJS.ErrnoException).code
  if (error.name !== 'Error' && error.name !== 'AggregateError') return error.name
  return code ?? error.name
}

export function isMissing (error: unknown): boolean {
  return MISSING.has(codeOf(error))
}

/** The SDK hangs the whole response, headers and all, on its errors; a log would print it. */
function withoutRequest (error: unknown): Error {
  const bare = new Error(error instanceof Error ? error.message : String(error))
  bare.name = codeOf(error)
  return bare
}
