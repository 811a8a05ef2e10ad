import type { Attributes } from '@opentelemetry/api'
import type { Resource } from '../reference/resource-path.js'

/** What a server knows of a request when it begins. */
export interface RequestFacts {
  readonly method: string
  /** As it came, with its query. */
  readonly url: string
  readonly protocol: string
  readonly httpVersion: string
  /** As the client knows the server: name and port. */
  readonly host: string
  /** The client's address; behind a proxy what the proxy says. */
  readonly ip: string
  /** The other end of the connection. */
  readonly peer: string | undefined
  readonly userAgent: string | undefined
  readonly contentLength: string | undefined
}

/** What follows `/v2/` in the route of each resource. */
const TAILS: Readonly<Record<Resource, string>> = {
  manifest: '{name}/manifests/{reference}',
  blob: '{name}/blobs/{digest}',
  upload: '{name}/blobs/uploads/',
  'upload-session': '{name}/blobs/uploads/{session}',
  tags: '{name}/tags/list',
  referrers: '{name}/referrers/{digest}',
  extensions: '{name}/_oci/ext/discover'
}

/** The route as people write it: the router's own is the same for all resources. */
export function routeName (url: string, resource: Resource | undefined): string {
  return resource === undefined ? url : `${url.slice(0, -1)}${TAILS[resource]}`
}

/** What a client sends may be long, and spans wait in memory. */
const MAX_LENGTH = 512

export function clipped (text: string): string {
  return text.length > MAX_LENGTH ? text.slice(0, MAX_LENGTH) : text
}

/** In the words of the semantic conventions for HTTP servers. */
export function requestAttributes ({ method, url, protocol, httpVersion, host, ip, peer, userAgent, contentLength }: RequestFacts, route: string): Attributes {
  const [path = '', query] = split(url)
  const [, name = host, port] = /^(.*):(\d+)$/.exec(host) ?? []
  return {
    'http.request.method': method,
    'http.route': route,
    'url.scheme': protocol,
    'url.path': clipped(path),
    ...(query === undefined ? {} : { 'url.query': clipped(query) }),
    ...(name === '' ? {} : { 'server.address': clipped(name) }),
    ...(port === undefined ? {} : { 'server.port': Number(port) }),
    'client.address': clipped(ip),
    ...(peer === undefined ? {} : { 'network.peer.address': peer }),
    'network.protocol.version': httpVersion === '2.0' ? '2' : httpVersion,
    ...(userAgent === undefined ? {} : { 'user_agent.original': clipped(userAgent) }),
    ...size('request', contentLength)
  }
}

export interface AnswerFacts {
  readonly status: number
  /** Nothing of an answer has left the server. */
  readonly isSilent: boolean
  /** The client went away before it had its answer. */
  readonly isAborted: boolean
  readonly contentLength: string | undefined
  readonly repository: string | undefined
  readonly reference: string | undefined
}

/** What is known when it is over. A client that goes away is no error. */
export function answerAttributes ({ status, isSilent, isAborted, contentLength, repository, reference }: AnswerFacts): Attributes {
  return {
    ...(isSilent ? {} : { 'http.response.status_code': status }),
    ...(isAborted ? { 'oci.request.aborted': true } : size('response', contentLength)),
    ...(repository === undefined ? {} : { 'oci.repository': clipped(repository) }),
    ...(reference === undefined || reference === '' ? {} : { 'oci.reference': clipped(reference) })
  }
}

function split (url: string): [string, string?] {
  const at = url.indexOf('?')
  return at === -1 ? [url] : [url.slice(0, at), url.slice(at + 1)]
}

function size (of: 'request' | 'response', contentLength: string | undefined): Attributes {
  const bytes = Number(contentLength ?? Number.NaN)
  return Number.isSafeInteger(bytes) ? { [`http.${of}.body.size`]: bytes } : {}
}
