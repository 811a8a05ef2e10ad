import type { AccessController, AccessRecord, AccessRequest, Grant } from './access.js'
import { quoted } from './basic.js'
import { AccessRefused, refusedAccess } from './refusal.js'

export interface SillyOptions { readonly realm: string, readonly service: string }

const GRANT: Grant = { user: 'silly' }

/** For development: any Authorization header will do, and everybody is `silly`. */
export class SillyController implements AccessController {
  readonly #challenge: string

  constructor ({ realm, service }: SillyOptions) {
    this.#challenge = `Bearer realm=${quoted(realm)},service=${quoted(service)}`
  }

  /** @throws {OciError} UNAUTHORIZED without a header */
  authorize ({ headers: { authorization = '' } }: AccessRequest, records: readonly AccessRecord[]): Grant {
    if (authorization !== '') return GRANT
    const scope = records.map(({ type, name, action }) => `${type}:${name}:${action}`).join(' ')
    const challenge = scope === '' ? this.#challenge : `${this.#challenge},scope="${scope}"`
    throw new AccessRefused('UNAUTHORIZED', { headers: { 'www-authenticate': challenge }, detail: refusedAccess(records) })
  }
}
