import { OciError } from '../errors/oci-error.js'

/** What a request was too much for. */
export type OverloadReason = 'requests' | 'uploadsOfClient' | 'uploads' | 'eventLoopDelay' | 'heap'

const OF_CLIENT: ReadonlySet<OverloadReason> = new Set(['requests', 'uploadsOfClient'])

const DETAIL: Readonly<Record<OverloadReason, string>> = {
  requests: 'too many requests of this client',
  uploadsOfClient: 'too many uploads of this client at a time',
  uploads: 'too many uploads at a time',
  eventLoopDelay: 'the server is overloaded',
  heap: 'the server is overloaded'
}

/** A request that a limit refuses: 429 where it is the client's, 503 where it is the server's; with `Retry-After`. */
export class Overload extends OciError {
  readonly reason: OverloadReason

  constructor (reason: OverloadReason, retryAfterMs: number) {
    super(OF_CLIENT.has(reason) ? 'TOOMANYREQUESTS' : 'UNAVAILABLE', {
      detail: DETAIL[reason],
      // RFC 9110: whole seconds. None would be an invitation to come back at once.
      headers: { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }
    })
    this.name = 'Overload'
    this.reason = reason
  }
}
