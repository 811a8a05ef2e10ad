import { OciError } from '../errors/oci-error.js'
import type { AccessController, AccessRecord, AccessRequest, Grant } from './access.js'
import { parseBasic, quoted } from './basic.js'
import type { CredentialStore, Identity } from './credentials.js'
import type { AccessPolicy } from './policy.js'
import { AccessRefused, refusedAccess } from './refusal.js'

export interface BasicControllerOptions {
  readonly realm: string
  readonly credentials: CredentialStore
  /** Without, whoever has valid credentials may do everything, and nobody else anything. */
  readonly policy?: AccessPolicy | undefined
}

/** User and password with every request (RFC 7617). What a policy allows strangers needs neither. */
export class BasicController implements AccessController {
  readonly #headers: Readonly<Record<string, string>>
  readonly #credentials: CredentialStore
  readonly #policy: AccessPolicy | undefined
  readonly #stranger: Grant

  constructor ({ realm, credentials, policy }: BasicControllerOptions) {
    this.#headers = { 'www-authenticate': `Basic realm=${quoted(realm)}` }
    this.#credentials = credentials
    this.#policy = policy
    this.#stranger = policy === undefined ? {} : { visible: policy.visibleTo(undefined) }
  }

  /**
   * @throws {OciError} UNAUTHORIZED without credentials, where they are needed, and for wrong ones everywhere; DENIED
   * when the policy does not allow it; what {@link CredentialStore.verify} throws
   */
  authorize (request: AccessRequest, records: readonly AccessRecord[]): Grant | Promise<Grant> {
    const { headers: { authorization }, ip } = request
    const credentials = parseBasic(authorization)
    // skopeo and podman send no name and no password when they have none, once they were asked.
    if (authorization === undefined || (credentials?.user === '' && credentials.password === '')) return this.#admitStranger(records)
    if (credentials === undefined) throw this.#unauthorized(records)
    return this.#admit(credentials.user, credentials.password, ip, records)
  }

  async close (): Promise<void> {
    await this.#credentials.close()
  }

  #admitStranger (records: readonly AccessRecord[]): Grant {
    // The base is refused even where something is public: docker asks there, once, whether to send credentials at all.
    if (records.length === 0 || this.#policy === undefined) throw this.#unauthorized(records)
    for (const record of records) {
      if (!this.#policy.allows(undefined, record)) throw this.#unauthorized(records)
    }
    return this.#stranger
  }

  async #admit (user: string, password: string, ip: string, records: readonly AccessRecord[]): Promise<Grant> {
    const identity = await this.#verified(user, password, ip)
    if (identity === undefined) throw this.#unauthorized(records, user)
    if (this.#policy === undefined) return identity
    for (const record of records) {
      if (!this.#policy.allows(identity, record)) throw new AccessRefused('DENIED', { user, detail: refusedAccess(records) })
    }
    // Only the catalog looks at all there is.
    return records[0]?.type === 'registry' ? { ...identity, visible: this.#policy.visibleTo(identity) } : identity
  }

  /** A refusal of the store's is told with the name it is about. */
  async #verified (user: string, password: string, ip: string): Promise<Identity | undefined> {
    try {
      return await this.#credentials.verify(user, password, ip)
    } catch (error) {
      if (!OciError.is(error)) throw error
      const { code, status, message, detail, headers, cause } = error
      throw new AccessRefused(code, { status, message, detail, headers, cause, claimed: user })
    }
  }

  #unauthorized (records: readonly AccessRecord[], claimed?: string): AccessRefused {
    return new AccessRefused('UNAUTHORIZED', { headers: this.#headers, detail: refusedAccess(records), claimed })
  }
}
