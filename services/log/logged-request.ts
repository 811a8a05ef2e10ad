import type { OciError } from '../errors/oci-error.js'
import type { WriteRequest } from './logger.js'
import { errorFields, servedFields } from './request-fields.js'
import type { Outcome, RequestFacts } from './request-fields.js'

/** Why a request came to nothing. */
export interface Failure {
  /** As the client is told. */
  readonly known: OciError
  /** As it was thrown. */
  readonly error: unknown
  /**
   * `aborted`: the client went away. `expected`: nothing that somebody has to look into, such as the first request of a
   * client that sends credentials when it is asked to.
   */
  readonly kind: 'error' | 'expected' | 'aborted'
}

/** What the log has to know of a request until it is over. */
export class LoggedRequest {
  readonly write: WriteRequest
  /** The client's address and port, which of a client that goes away is lost. */
  readonly remote: string | undefined
  /** Who was let in, or is known and was refused. */
  user: string | undefined
  readonly #onFailure: () => void
  #failure: Failure | undefined

  /** @param onFailure called once, when the first failure is known */
  constructor (write: WriteRequest, remote: string | undefined, onFailure: () => void = () => {}) {
    this.write = write
    this.remote = remote
    this.#onFailure = onFailure
  }

  /** The first failure is the reason of those that follow. */
  failed (failure: Failure): void {
    if (this.#failure !== undefined) return
    this.#failure = failure
    this.#onFailure()
  }

  get isAborted (): boolean {
    return this.#failure?.kind === 'aborted'
  }

  /** The one line about it. */
  over (served: RequestFacts & Outcome): void {
    const failure = this.#failure
    if (failure === undefined || failure.kind === 'aborted') return this.write('info', 'response completed', () => servedFields(served))
    const { kind, known, error } = failure
    this.write(kind === 'error' ? 'error' : 'info', 'response completed with error', () => ({ ...errorFields(known, error), ...servedFields(served) }))
  }
}
