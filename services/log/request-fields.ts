import type { OciErrorEntry } from '../errors/oci-error.js'
import type { OciError } from '../errors/oci-error.js'
import type { Resource } from '../reference/resource-path.js'
import { errorText, withoutSecrets } from './error-text.js'
import type { Fields } from './formats.js'
import { clipped } from './printable.js'
import { shownUrl } from './shown-url.js'

/** What a log says of a request. */
export interface RequestFacts {
  readonly id: string
  readonly method: string
  /** As the client knows the server. */
  readonly host: string | undefined
  readonly url: string
  /** `HTTP/1.1` */
  readonly proto: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** The client's address and port, or what proxies say of it. */
  readonly remote: string | undefined
  readonly resource: Resource | undefined
  readonly name: string | undefined
  readonly reference: string | undefined
  /** Where the request is in a trace, if it is in one. */
  readonly trace: { readonly trace_id: string, readonly span_id: string } | undefined
}

/** What came of it. */
export interface Outcome {
  readonly status: number
  readonly contentType: string | undefined
  /** Bytes of the body. */
  readonly written: number
  readonly ms: number
  /** The client was gone before it had the whole answer. */
  readonly isAborted: boolean
  readonly user: string | undefined
}

const MAX_LENGTH = 1024

/** A request's fields, under the names of docker's registry. Empty ones are left out, as there; `http.request.proto` is ours. */
export function requestFields ({ id, method, host, url, proto, headers, remote, resource, name, reference, trace }: RequestFacts): Record<string, unknown> {
  const { 'content-type': type, referer, 'user-agent': agent } = headers
  const fields: Record<string, unknown> = {}
  if (trace !== undefined) Object.assign(fields, trace)
  if (type !== undefined && type !== '') fields['http.request.contenttype'] = clipped(String(type), MAX_LENGTH)
  if (host !== undefined && host !== '') fields['http.request.host'] = clipped(host.includes('@') ? shownUrl(host) : host, MAX_LENGTH)
  fields['http.request.id'] = id
  fields['http.request.method'] = method
  fields['http.request.proto'] = proto
  if (referer !== undefined && referer !== '') fields['http.request.referer'] = clipped(shownUrl(String(referer)), MAX_LENGTH)
  if (remote !== undefined) fields['http.request.remoteaddr'] = remote
  fields['http.request.uri'] = shownUrl(url)
  if (agent !== undefined && agent !== '') fields['http.request.useragent'] = clipped(String(agent), MAX_LENGTH)
  if (name !== undefined && name !== '') fields['vars.name'] = clipped(name, MAX_LENGTH)
  if (reference === undefined || reference === '') return fields
  // The part behind the dot is the offset: a session is one, whatever it has received.
  if (resource === 'upload-session') fields['vars.uuid'] = clipped(reference.replace(/\..*$/s, ''), MAX_LENGTH)
  else fields[resource === 'manifest' ? 'vars.reference' : 'vars.digest'] = clipped(reference, MAX_LENGTH)
  return fields
}

/** What {@link requestFields} says, and what came of it. */
export function servedFields (served: RequestFacts & Outcome): Record<string, unknown> {
  const fields = requestFields(served)
  const { status, contentType, written, ms, isAborted, user } = served
  if (user !== undefined) fields['auth.user.name'] = clipped(user, MAX_LENGTH)
  if (isAborted) fields['http.response.aborted'] = true
  if (contentType !== undefined) fields['http.response.contenttype'] = contentType
  fields['http.response.duration'] = goDuration(ms)
  fields['http.response.status'] = status
  fields['http.response.written'] = written
  return fields
}

/** Why a request came to nothing; `err.cause` is ours, and says of what is no fault of the client's where it comes from. */
export function errorFields (known: OciError, error: unknown): Fields {
  const [first, ...others] = known.entries()
  return {
    'err.code': known.code.toLowerCase().replaceAll('_', ' '),
    'err.message': clipped(withoutSecrets(known.message), MAX_LENGTH),
    'err.detail': first === undefined ? undefined : detailOf([first, ...others]),
    'err.cause': known.status >= 500 ? errorText(error) : undefined
  }
}

function detailOf (entries: readonly OciErrorEntry[]): string | undefined {
  const details = entries.map(({ detail }) => detail).filter(detail => detail !== undefined && detail !== null)
  if (details.length === 0) return undefined
  const shown = details.length === 1 ? details[0] : details
  return clipped(typeof shown === 'string' ? withoutSecrets(shown) : JSON.stringify(shown, (_key, value: unknown) => typeof value === 'string' ? withoutSecrets(value) : value), MAX_LENGTH)
}

/** A duration as Go writes it: `34.291µs`, `1.234ms`, `1m2.5s`. */
export function goDuration (ms: number): string {
  const nanoseconds = Math.round(ms * 1e6)
  if (nanoseconds < 1e3) return `${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`
  const minutes = Math.floor(nanoseconds / 6e10)
  const seconds = `${(nanoseconds % 6e10) / 1e9}s`
  if (minutes === 0) return seconds
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`
}
