import type { Visibility } from '../registry/types.js'
import type { AccessController, AccessRecord, AccessRequest, Grant } from './access.js'
import { bearerChallenge } from './bearer-challenge.js'
import type { BearerChallenge } from './bearer-challenge.js'
import { covers } from './claims.js'
import type { TokenClaims } from './claims.js'
import { AccessRefused, refusedAccess } from './refusal.js'
import type { RefusalOptions } from './refusal.js'
import { TokenRefused } from './token-verifier.js'
import type { TokenVerifier } from './token-verifier.js'

export interface TokenControllerOptions {
  readonly verifier: TokenVerifier
  /** Where clients get tokens, as the client of this request would call it. */
  readonly realm: (request: AccessRequest) => string
  readonly service: string
  /** What a bearer may see of the registry, where the token does not say it. */
  readonly visible?: ((claims: TokenClaims) => Visibility | undefined) | undefined
}

export interface Refusal extends Pick<RefusalOptions, 'user' | 'claimed' | 'cause'>, Pick<BearerChallenge, 'error'> {}

/** Lets in who brings a token with enough scope, and tells everybody else where to get one. */
export class TokenController implements AccessController {
  readonly #verifier: TokenVerifier
  readonly #realm: (request: AccessRequest) => string
  readonly #service: string
  readonly #visible: (claims: TokenClaims) => Visibility | undefined

  constructor ({ verifier, realm, service, visible = () => undefined }: TokenControllerOptions) {
    this.#verifier = verifier
    this.#realm = realm
    this.#service = service
    this.#visible = visible
  }

  /** @throws {OciError} UNAUTHORIZED with a challenge, also for too little scope: clients fetch another token then */
  authorize (request: AccessRequest, records: readonly AccessRecord[]): Grant | Promise<Grant> {
    const token = bearerToken(request.headers.authorization)
    if (token === undefined) throw this.refusal(request, records)
    const known = this.#verifier.known(token)
    return known === undefined ? this.#verified(token, request, records) : this.#granted(known, request, records)
  }

  /** The answer to who brings no token, or one that is not enough. */
  refusal (request: AccessRequest, records: readonly AccessRecord[], { error, ...who }: Refusal = {}): AccessRefused {
    const challenge = bearerChallenge({ realm: this.#realm(request), service: this.#service, records, error })
    return new AccessRefused('UNAUTHORIZED', { ...who, detail: refusedAccess(records), headers: { 'www-authenticate': challenge } })
  }

  async #verified (token: string, request: AccessRequest, records: readonly AccessRecord[]): Promise<Grant> {
    let claims
    try {
      claims = await this.#verifier.verify(token)
    } catch (cause) {
      if (!(cause instanceof TokenRefused)) throw cause
      // As registry 3 has it: a signature that does not fit is not told apart from no token.
      throw this.refusal(request, records, { error: cause.isForged ? undefined : 'invalid_token', cause })
    }
    return this.#granted(claims, request, records)
  }

  #granted (claims: TokenClaims, request: AccessRequest, records: readonly AccessRecord[]): Grant {
    const { user, groups } = claims
    if (!covers(claims, records)) throw this.refusal(request, records, { error: 'insufficient_scope', user })
    // Only the catalog looks at all there is.
    const visible = records[0]?.type === 'registry' ? this.#visible(claims) : undefined
    return { ...(user === undefined ? {} : { user, groups }), ...(visible === undefined ? {} : { visible }) }
  }
}

/** The token of an Authorization header; undefined when it has another scheme, or none. */
export function bearerToken (authorization: string | undefined): string | undefined {
  const match = /^bearer (.+)$/i.exec(authorization ?? '')
  return match?.[1]
}
