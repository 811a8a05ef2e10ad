import type { Digest, RepositoryName } from '../reference/reference.js'
import { formatUploadLocation } from '../uploads/location.js'

export interface LocationOptions {
  /** What precedes `/v2/` in our routes, without a slash at the end. */
  readonly prefix: string
  /** `http.host`: the base of all URLs, whatever the request says. */
  readonly host?: string | undefined
  /** `http.relativeurls`: paths instead of URLs. */
  readonly relativeurls: boolean
}

/** What a request says about how its client reached us. */
export interface RequestOrigin {
  readonly protocol: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/**
 * Writes the URLs of `Location` headers. The base is `http.host`, else what a proxy says (`Forwarded`, then
 * `X-Forwarded-Proto` and `X-Forwarded-Host`), else the request's own scheme and Host, which HTTP/2 calls
 * `:authority`.
 */
export class Locations {
  readonly #prefix: string
  readonly #base: string | undefined
  readonly #relative: boolean

  constructor ({ prefix, host, relativeurls }: LocationOptions) {
    this.#prefix = prefix
    this.#base = host === undefined ? undefined : configuredBase(host, prefix)
    this.#relative = relativeurls
  }

  manifest (origin: RequestOrigin, name: RepositoryName, digest: Digest): string {
    return `${this.#root(origin)}/v2/${name}/manifests/${digest}`
  }

  blob (origin: RequestOrigin, name: RepositoryName, digest: Digest): string {
    return `${this.#root(origin)}/v2/${name}/blobs/${digest}`
  }

  upload (origin: RequestOrigin, name: RepositoryName, id: string, offset: number): string {
    return `${this.#root(origin)}/v2/${name}/blobs/uploads/${formatUploadLocation(id, offset)}`
  }

  /** Paths for `Link` headers, which are never absolute. */
  path (tail: string): string {
    return `${this.#prefix}/v2/${tail}`
  }

  #root (origin: RequestOrigin): string {
    if (this.#base !== undefined) return this.#base
    return this.#relative ? this.#prefix : `${requestBase(origin)}${this.#prefix}`
  }
}

/** The absolute URL below which our routes are, as the client of a request knows it. */
export function externalBase ({ host, prefix }: Pick<LocationOptions, 'host' | 'prefix'>, origin: RequestOrigin): string {
  return host === undefined ? `${requestBase(origin)}${prefix}` : configuredBase(host, prefix)
}

/** A host with a path of its own is taken at its word; one without gets our prefix. */
function configuredBase (host: string, prefix: string): string {
  const { origin, pathname } = new URL(host)
  return pathname === '/' ? `${origin}${prefix}` : `${origin}${pathname.replace(/\/+$/, '')}`
}

function requestBase ({ protocol, headers }: RequestOrigin): string {
  const forwarded = forwardedParameters(first(headers['forwarded']))
  const scheme = forwarded.get('proto') ?? first(headers['x-forwarded-proto']) ?? protocol
  const host = forwarded.get('host') ?? first(headers['x-forwarded-host']) ?? first(headers[':authority']) ?? first(headers['host'])
  // Without any Host (HTTP/1.0) a path is the best that can be said.
  return host === undefined || !HOST.test(host) || !/^https?$/i.test(scheme) ? '' : `${scheme.toLowerCase()}://${host}`
}

// Keeps header injection and nonsense out of Location; everything a URL authority can be passes.
const HOST = /^[A-Za-z0-9._\-[\]:%]+$/

/** The first element of a header that may be a list. */
function first (header: string | string[] | undefined): string | undefined {
  const value = (Array.isArray(header) ? header[0] : header)?.split(',')[0]?.trim()
  return value === '' ? undefined : value
}

/** RFC 7239, one element: `proto=https;host="example.com"`. */
function forwardedParameters (element: string | undefined): Map<string, string> {
  const pairs = (element ?? '').split(';').map(pair => {
    const equals = pair.indexOf('=')
    return [pair.slice(0, equals).trim().toLowerCase(), pair.slice(equals + 1).trim().replace(/^"(.*)"$/, '$1')] as const
  })
  return new Map(pairs.filter(([key, value]) => key !== '' && value !== ''))
}
