/**
 * Every error code a client of the registry can see, with the HTTP status and the message it travels with.
 * Codes of the OCI distribution spec ("Error Codes"), plus the four that docker's registry adds and clients know.
 */
export const CATALOGUE = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 404, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: { status: 400, message: 'blob unknown to registry' },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'invalid number of results requested' },
  RANGE_INVALID: { status: 416, message: 'invalid content range' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  TAG_INVALID: { status: 400, message: 'manifest tag did not match URI' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  UNAVAILABLE: { status: 503, message: 'service unavailable' },
  UNKNOWN: { status: 500, message: 'unknown error' },
  UNSUPPORTED: { status: 405, message: 'The operation is unsupported.' }
} as const satisfies Record<string, { status: number, message: string }>

export type OciCode = keyof typeof CATALOGUE

/** One entry of the `errors` array in an OCI error body. */
export interface OciErrorEntry { code: OciCode, message: string, detail?: unknown }

export interface OciErrorOptions {
  /** Machine- or human-readable context, sent to the client. Never put a path of this machine or a secret here. */
  detail?: unknown
  /** Overrides the catalogue's message. */
  message?: string
  /** Overrides the catalogue's status. */
  status?: number
  /** Response headers that belong to the error: `Allow`, `WWW-Authenticate`, `Location`, `Range` … */
  headers?: Readonly<Record<string, string>>
  cause?: unknown
}

// A registered symbol rather than `instanceof`: the check must hold when two copies of the package meet in one process.
const brand = Symbol.for('fastify-oci-registry.OciError')

/**
 * The one error a service throws when the meaning is a client-visible OCI code. The HTTP layer turns it into the
 * error envelope; nothing else writes error bodies.
 */
export class OciError extends Error {
  readonly [brand] = true
  readonly code: OciCode
  readonly status: number
  readonly detail: unknown
  readonly headers: Readonly<Record<string, string>>

  constructor (code: OciCode, options: OciErrorOptions = {}) {
    super(options.message ?? CATALOGUE[code].message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'OciError'
    this.code = code
    this.status = options.status ?? CATALOGUE[code].status
    this.detail = options.detail
    this.headers = options.headers ?? {}
  }

  /** True for every OciError and OciErrors, also those made by another copy of this package. */
  static is (value: unknown): value is OciError {
    return typeof value === 'object' && value !== null && brand in value
  }

  /** The entries this error contributes to the envelope. */
  entries (): OciErrorEntry[] {
    return [{ code: this.code, message: this.message, ...(this.detail === undefined ? {} : { detail: this.detail }) }]
  }
}

/**
 * Several errors in one answer, for example one MANIFEST_BLOB_UNKNOWN per missing blob. Status, message and
 * headers are those of the first.
 */
export class OciErrors extends OciError {
  readonly errors: readonly OciError[]

  constructor (errors: readonly [OciError, ...OciError[]]) {
    const [first] = errors
    super(first.code, { message: first.message, status: first.status, headers: first.headers, detail: first.detail })
    this.name = 'OciErrors'
    this.errors = errors
  }

  override entries (): OciErrorEntry[] {
    return this.errors.flatMap(error => error.entries())
  }
}
