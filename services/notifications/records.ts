import type { Grant } from '../auth/access.js'
import type { ActorRecord, RequestRecord } from './event.js'

/** What of a request its events say. */
export interface RecordedRequest {
  readonly id: string
  readonly method: string
  /** As the client knows the server. */
  readonly host: string | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** The id is that of the log. */
export function requestRecord ({ id, method, host, headers }: RecordedRequest, address: string | undefined): RequestRecord {
  return {
    id,
    ...(address === undefined ? {} : { addr: address }),
    ...(host === undefined || host === '' ? {} : { host }),
    method,
    useragent: String(headers['user-agent'] ?? '')
  }
}

/** Who was let in; where nobody asks, whoever the client says it is. */
export function actorRecord ({ user }: Grant, authorization: string | undefined): ActorRecord {
  const name = user ?? basicUser(authorization)
  return name === undefined || name === '' ? {} : { name }
}

function basicUser (authorization: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const [user, ...password] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  return password.length === 0 ? undefined : user
}
