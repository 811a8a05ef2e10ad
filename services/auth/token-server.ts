import { randomUUID } from 'node:crypto'
import { SignJWT, decodeProtectedHeader, jwtVerify } from 'jose'
import type { JWTPayload } from 'jose'
import { OciError } from '../errors/oci-error.js'
import type { AccessRecord } from './access.js'
import type { BasicCredentials } from './basic.js'
import type { CredentialStore, Identity } from './credentials.js'
import type { SigningKey } from './keys/signing-key.js'
import type { TrustedKeys } from './keys/trusted-keys.js'
import type { AccessPolicy } from './policy.js'
import { AccessRefused } from './refusal.js'
import { formatScopes, grantScopes, parseScopes } from './scopes.js'

/** What a client asks the token server for. */
export interface TokenRequest {
  /** Neither these nor a refresh token: a stranger, who gets what strangers may do. */
  readonly credentials?: BasicCredentials | undefined
  readonly refreshToken?: string | undefined
  /** The registry the token is for; the client has it from the challenge. */
  readonly service?: string | undefined
  readonly scopes: readonly string[]
  /** Asks for a refresh token too. */
  readonly offline?: boolean
  readonly address: string
}

/** The answer, in the terms of docker's token specification and of OAuth 2. */
export interface TokenResponse {
  readonly token: string
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly scope: string
  readonly expires_in: number
  readonly issued_at: string
  readonly refresh_token?: string
}

/** A store whose users can be asked for without their passwords: for refresh tokens. */
export interface RenewableCredentials extends CredentialStore {
  /** A user as it is now; `revision` is another when the password is. */
  find (user: string): Promise<{ identity: Identity, revision: string } | undefined>
}

export interface TokenServerOptions {
  readonly credentials: RenewableCredentials
  /** Without, users may do everything and strangers nothing. */
  readonly policy?: Pick<AccessPolicy, 'allows'> | undefined
  readonly signingKey: () => Promise<SigningKey>
  /** What refresh tokens may be signed with: that key, and those before it. */
  readonly keys: Pick<TrustedKeys, 'find'>
  readonly issuer: string
  readonly service: string
  readonly expirationSeconds: number
  /** Without, there are no refresh tokens. */
  readonly refreshSeconds?: number | undefined
  readonly now?: () => number
}

/** More than any client asks for at once; each costs a look at the policy. */
const MAX_SCOPES = 256
const LEEWAY_SECONDS = 60

/** Hands out tokens to users and strangers: what they ask for, as far as the policy allows it. */
export class TokenServer {
  readonly #options: TokenServerOptions
  readonly #now: () => number
  readonly #counts = { issued: 0, anonymous: 0, refused: 0, refreshed: 0 }

  constructor (options: TokenServerOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * Who is allowed less than was asked for gets a token for less, even for nothing: the registry says what is missing.
   *
   * @throws {OciError} UNAUTHORIZED for wrong credentials; UNSUPPORTED (400) for another registry's name, for too many
   * scopes, and for refresh tokens where there are none; what {@link CredentialStore.verify} throws
   */
  async grant (request: TokenRequest): Promise<{ user: string | undefined, response: TokenResponse }> {
    const { service } = this.#options
    if (request.service !== undefined && request.service !== '' && request.service !== service) throw badRequest(`this is the token server of ${JSON.stringify(service)}`)
    const identity = await this.#identify(request)
    const wanted = parseScopes(request.scopes)
    if (wanted.length > MAX_SCOPES) throw badRequest(`at most ${MAX_SCOPES} scopes may be asked for at once`)
    const granted = grantScopes(wanted, record => this.allows(identity, record))
    const seconds = Math.floor(this.#now() / 1000)
    const token = await this.#sign(seconds, {
      aud: service,
      exp: seconds + this.#options.expirationSeconds,
      sub: identity?.user ?? '',
      ...(identity === undefined || identity.groups.length === 0 ? {} : { groups: identity.groups }),
      access: granted.map(({ type, class: kind, name, actions }) => ({ type, ...(kind === undefined ? {} : { class: kind }), name, actions }))
    })
    this.#counts[identity === undefined ? 'anonymous' : 'issued']++
    const refresh = identity === undefined || request.offline !== true || request.refreshToken !== undefined ? undefined : await this.#refreshToken(identity, seconds)
    const response: TokenResponse = {
      token,
      access_token: token,
      token_type: 'Bearer',
      scope: formatScopes(granted),
      expires_in: this.#options.expirationSeconds,
      issued_at: new Date(seconds * 1000).toISOString(),
      ...(refresh === undefined ? {} : { refresh_token: refresh })
    }
    return { user: identity?.user, response }
  }

  /** Has the key at hand before it is needed: the process that made it may be gone by then. */
  async prepare (): Promise<void> {
    await this.#options.signingKey()
  }

  /** Whether somebody, undefined for a stranger, may do what a record says. */
  allows (identity: Identity | undefined, record: AccessRecord): boolean {
    const { policy } = this.#options
    return policy === undefined ? identity !== undefined : policy.allows(identity, record)
  }

  get state (): Record<string, number> {
    return { ...this.#counts }
  }

  async #identify ({ credentials, refreshToken, address }: TokenRequest): Promise<Identity | undefined> {
    if (refreshToken !== undefined) return await this.#refreshed(refreshToken)
    if (credentials === undefined) return undefined
    const { user, password } = credentials
    const identity = await this.#options.credentials.verify(user, password, address)
    if (identity === undefined) throw this.#refuse('the user or the password is wrong', user)
    return identity
  }

  async #sign (seconds: number, claims: JWTPayload): Promise<string> {
    const { privateKey, algorithm, kid } = await this.#options.signingKey()
    return await new SignJWT({ iss: this.#options.issuer, iat: seconds, nbf: seconds, jti: randomUUID(), ...claims })
      .setProtectedHeader({ typ: 'JWT', alg: algorithm, kid })
      .sign(privateKey)
  }

  /** Tied to the password: whoever changes it takes all of them back. */
  async #refreshToken ({ user }: Identity, seconds: number): Promise<string | undefined> {
    const { refreshSeconds, credentials } = this.#options
    const found = refreshSeconds === undefined ? undefined : await credentials.find(user)
    if (refreshSeconds === undefined || found === undefined) return undefined
    return await this.#sign(seconds, { aud: this.#refreshAudience, exp: seconds + refreshSeconds, sub: user, revision: found.revision })
  }

  /** Never what a token for the registry is for. */
  get #refreshAudience (): string {
    return `refresh:${this.#options.service}`
  }

  async #refreshed (token: string): Promise<Identity> {
    if (this.#options.refreshSeconds === undefined) throw badRequest('refresh tokens are switched off here: log in with user and password')
    const { sub: user = '', revision } = await this.#refreshClaims(token)
    const found = await this.#options.credentials.find(user)
    if (found === undefined || found.revision !== revision) throw this.#refuse('the refresh token was good for another password', user)
    this.#counts.refreshed++
    return found.identity
  }

  async #refreshClaims (token: string): Promise<JWTPayload> {
    try {
      const { kid = '' } = decodeProtectedHeader(token)
      const trusted = await this.#options.keys.find(kid)
      if (trusted === undefined) throw new Error('it is signed by a key that is not trusted')
      const { payload } = await jwtVerify(token, trusted.key, {
        algorithms: [...trusted.algorithms],
        issuer: this.#options.issuer,
        audience: this.#refreshAudience,
        requiredClaims: ['exp', 'sub', 'revision'],
        clockTolerance: LEEWAY_SECONDS,
        currentDate: new Date(this.#now())
      })
      return payload
    } catch (cause) {
      if (OciError.is(cause)) throw cause
      throw this.#refuse('the refresh token is not good any more', undefined, cause)
    }
  }

  #refuse (message: string, claimed?: string, cause?: unknown): AccessRefused {
    this.#counts.refused++
    return new AccessRefused('UNAUTHORIZED', { message, claimed, cause })
  }
}

function badRequest (detail: string): OciError {
  return new OciError('UNSUPPORTED', { status: 400, message: 'invalid token request', detail })
}
