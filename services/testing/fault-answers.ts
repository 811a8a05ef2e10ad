import type { AccessRecord } from '../auth/access.js'
import { bearerChallenge } from '../auth/bearer-challenge.js'
import { OciError } from '../errors/oci-error.js'
import type { OciCode } from '../errors/oci-error.js'
import { splitResourcePath } from '../reference/resource-path.js'
import type { Fault, FaultStatus } from './fault.js'

const CODES: Readonly<Record<number, OciCode>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NAME_UNKNOWN',
  405: 'UNSUPPORTED',
  413: 'SIZE_INVALID',
  416: 'RANGE_INVALID',
  429: 'TOOMANYREQUESTS',
  503: 'UNAVAILABLE'
}

/** The answer with a status that a fault asks for. */
export function statusAnswer (status: FaultStatus, { retryAfter }: Fault): OciError {
  const headers: Record<string, string> = {}
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter)
  // A 401 without a challenge is none (RFC 9110, 11.6.1).
  if (status === 401) headers['www-authenticate'] = 'Basic realm="fault"'
  return new OciError(CODES[status] ?? (status < 500 ? 'UNSUPPORTED' : 'UNKNOWN'), { status, headers, detail: 'a fault was asked for' })
}

export interface Challenged {
  readonly method: string
  readonly url: string
  readonly realm: string
  readonly service: string
}

/** What a client hears whose token was good until a moment ago. */
export function expiredToken ({ method, url, realm, service }: Challenged): OciError {
  const challenge = bearerChallenge({ realm, service, records: recordsOf(method, url), error: 'invalid_token' })
  return new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': challenge } })
}

function recordsOf (method: string, url: string): AccessRecord[] {
  const pathname = url.split('?', 1)[0] ?? url
  const path = splitResourcePath(pathname.slice(pathname.indexOf('/v2/') + 4))
  if (path === undefined) return []
  const type = 'repository'
  const { name } = path
  if (method === 'DELETE') return [{ type, name, action: 'delete' }]
  const pull: AccessRecord = { type, name, action: 'pull' }
  return method === 'GET' || method === 'HEAD' ? [pull] : [pull, { type, name, action: 'push' }]
}
