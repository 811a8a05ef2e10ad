import type { AccessController, AccessRecord, AccessRequest, Grant } from '../auth/access.js'
import { OciError } from '../errors/oci-error.js'
import type { Tracing } from './tracing.js'

/** Shows in the trace of a request what it was to be allowed, and whether it was. Who asked is left to the audit. */
export class TracedAccess<Request extends AccessRequest> implements AccessController<Request> {
  readonly #inner: AccessController<Request>
  readonly #tracing: Tracing

  constructor (inner: AccessController<Request>, tracing: Tracing) {
    this.#inner = inner
    this.#tracing = tracing
  }

  authorize (request: Request, records: readonly AccessRecord[]): Grant | Promise<Grant> {
    const scopes = records.map(({ type, name, action }) => `${type}:${name}:${action}`)
    return this.#tracing.step({ name: 'authorize', attributes: { 'oci.access.scopes': scopes }, isFault }, note => {
      const refused = (error: unknown): never => {
        if (!isFault(error)) note({ 'oci.access.granted': false, 'oci.error.code': (error as OciError).code })
        throw error
      }
      const granted = (grant: Grant): Grant => {
        note({ 'oci.access.granted': true })
        return grant
      }
      try {
        const grant = this.#inner.authorize(request, records)
        return grant instanceof Promise ? grant.then(granted, refused) : granted(grant)
      } catch (error) {
        return refused(error)
      }
    })
  }

  async close (): Promise<void> {
    await this.#inner.close?.()
  }
}

function isFault (error: unknown): boolean {
  return !OciError.is(error) || error.status >= 500
}
