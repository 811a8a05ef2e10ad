import type { IncomingHttpHeaders } from 'node:http'

/** A request that a test registry got. */
export interface RecordedRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  /** Of the answer; undefined until there is one, and for good where the connection broke before. */
  status: number | undefined
  /** Names in lower case. Of a header with credentials only the scheme is kept: `Bearer ***`. */
  readonly headers: IncomingHttpHeaders
}

const SECRET = ['authorization', 'proxy-authorization', 'cookie'] as const
/** Tests look at a few; a server that runs for days must not keep all. */
const MAX_REQUESTS = 10_000

/** Adds a request to the list, which forgets the oldest one when it grows too long. */
export function record (requests: RecordedRequest[], { method, url, headers }: { readonly method: string, readonly url: string, readonly headers: IncomingHttpHeaders }): RecordedRequest {
  const request: RecordedRequest = { method, path: url, status: undefined, headers: withoutSecrets(headers) }
  if (requests.push(request) > MAX_REQUESTS) requests.shift()
  return request
}

function withoutSecrets (headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const kept = { ...headers }
  for (const name of SECRET) {
    const value = kept[name]
    if (value !== undefined) kept[name] = name === 'cookie' ? '***' : value.replace(/^(\S+)\s[^]*$|^[^]*$/, (_all, scheme?: string) => scheme === undefined ? '***' : `${scheme} ***`)
  }
  return kept
}
