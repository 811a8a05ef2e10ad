import { DriverError } from '../errors/driver-error.js'

/** How the client of a store tells what went wrong. */
export interface StoreErrors {
  readonly driver: string
  /** Codes that say that there is no such object. */
  readonly missing: ReadonlySet<string>
  /** Codes that say that the object is not the one that was meant. */
  readonly changed: ReadonlySet<string>
  /** Codes in words. */
  readonly explained: Readonly<Record<string, string>>
  /** The error's code, as the store or Node names it. */
  readonly codeOf: (error: unknown) => string
}

/** Wraps what the client threw. The store's own code and message are told, and nothing of the request. */
export function storeError (errors: StoreErrors, path: string, error: unknown): DriverError {
  if (DriverError.is(error)) return error
  const { driver, missing, changed, codeOf } = errors
  const code = codeOf(error)
  const kind = missing.has(code) ? 'path-not-found' : changed.has(code) ? 'changed' : 'failed'
  return new DriverError(kind, { driver, path, cause: kind === 'failed' ? withoutRequest(error, code) : undefined, detail: explain(errors, error) })
}

/** What went wrong, in words. */
export function explain ({ codeOf, explained }: StoreErrors, error: unknown): string {
  const code = codeOf(error)
  const words = explained[code]
  if (words !== undefined) return `${words} (${code})`
  const message = messageOf(error)
  return message === '' || message === code ? code : `${code}: ${message}`
}

/** Clients hang the whole response, headers and all, on their errors; a log would print it. */
function withoutRequest (error: unknown, code: string): Error {
  const bare = new Error(messageOf(error))
  bare.name = code
  return bare
}

function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
