import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, decodeProtectedHeader, errors, jwtVerify } from 'jose'
import type { JWK, ProtectedHeaderParameters } from 'jose'
import { LRUCache } from 'lru-cache'
import { OciError } from '../errors/oci-error.js'
import { readClaims } from './claims.js'
import type { TokenClaims } from './claims.js'
import { verifyChain } from './keys/certificates.js'
import { trustedKey } from './keys/trusted-key.js'
import type { TrustedKey } from './keys/trusted-key.js'
import type { TrustedKeys } from './keys/trusted-keys.js'

/** Clocks of token servers may differ from ours by this much. */
const LEEWAY_SECONDS = 60
/** As long as a header of the standalone server can be. */
const MAX_TOKEN = 64 * 1024
const MAX_CACHED = 10_000
const MAX_CACHED_CHARACTERS = 16 * 1024 * 1024

/** A token that is not good. `isForged`: it is well made but for its signature. The message is for logs, not for clients. */
export class TokenRefused extends Error {
  readonly isForged: boolean

  constructor (message: string, { cause, isForged = false }: { cause?: unknown, isForged?: boolean } = {}) {
    super(message, { cause })
    this.name = 'TokenRefused'
    this.isForged = isForged
  }
}

export interface TokenVerifierOptions {
  readonly keys: TrustedKeys
  readonly issuers: readonly string[]
  /** One of these must be in `aud`. */
  readonly audiences: readonly string[]
  /** Names of signatures that are accepted, of those that the keys are for. */
  readonly algorithms?: readonly string[] | undefined
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Checks tokens and remembers the good ones, so that a pull costs one signature and not one per blob. */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions
  readonly #now: () => number
  // By hash: the tokens themselves are not kept.
  readonly #verified = new LRUCache<string, TokenClaims>({ max: MAX_CACHED, maxSize: MAX_CACHED_CHARACTERS, maxEntrySize: MAX_TOKEN })
  readonly #counts = { cached: 0, verified: 0, refused: 0 }
  /** Which set of keys it is. */
  #generation = 0

  constructor (options: TokenVerifierOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** What a token says that was verified before and is still good. */
  known (token: string): TokenClaims | undefined {
    this.#options.keys.touch()
    const claims = this.#verified.get(hashOf(token))
    if (claims === undefined || this.#isExpired(claims)) return undefined
    this.#counts.cached++
    return claims
  }

  /**
   * Checks a token's key, signature, issuer, audience and dates.
   *
   * @throws {TokenRefused} for what the token is; {@link OciError} UNAVAILABLE when keys cannot be looked up
   */
  async verify (token: string): Promise<TokenClaims> {
    const generation = this.#generation
    try {
      const claims = await this.#check(token)
      this.#counts.verified++
      // Keys that changed meanwhile may not have this token's any more.
      if (generation === this.#generation) this.#verified.set(hashOf(token), claims, { size: token.length })
      return claims
    } catch (error) {
      if (OciError.is(error)) throw error
      this.#counts.refused++
      if (error instanceof TokenRefused) throw error
      throw new TokenRefused((error as Error).message, { cause: error, isForged: error instanceof errors.JWSSignatureVerificationFailed })
    }
  }

  /** Forgets what was verified: the keys are others now. */
  forget (): void {
    this.#generation++
    this.#verified.clear()
  }

  get state (): Record<string, unknown> {
    return { ...this.#counts, remembered: this.#verified.size, keysets: this.#options.keys.state }
  }

  async #check (token: string): Promise<TokenClaims> {
    if (token.length > MAX_TOKEN) throw new TokenRefused('the token is too long')
    const { issuers, audiences, algorithms } = this.#options
    const { key, algorithms: fitting } = await this.#keyOf(decodeProtectedHeader(token))
    const { payload } = await jwtVerify(token, key, {
      // The key decides what can have signed: neither `none` nor a MAC over the public key ever fits.
      algorithms: algorithms === undefined ? [...fitting] : fitting.filter(name => algorithms.includes(name)),
      issuer: [...issuers],
      audience: [...audiences],
      requiredClaims: ['exp'],
      clockTolerance: LEEWAY_SECONDS,
      currentDate: new Date(this.#now())
    })
    return readClaims(payload)
  }

  /** The key a header names: a chain of certificates, else a key it carries, else one that it calls by its name. */
  async #keyOf ({ x5c, jwk, kid }: ProtectedHeaderParameters): Promise<TrustedKey> {
    if (x5c !== undefined) return this.#keyOfChain(x5c)
    if (jwk !== undefined) return await this.#keyOfJwk(jwk)
    if (typeof kid !== 'string') throw new TokenRefused('the token does not name its key')
    return found(await this.#options.keys.find(kid))
  }

  #keyOfChain (x5c: unknown): TrustedKey {
    const { publicKey } = verifyChain(x5c, this.#options.keys.roots, this.#now())
    return found(trustedKey(publicKey))
  }

  /** Never trusts the key itself: it only says which of the trusted ones is meant. */
  async #keyOfJwk (jwk: JWK): Promise<TrustedKey> {
    if (jwk.x5c !== undefined) return this.#keyOfChain(jwk.x5c)
    const named = typeof jwk.kid === 'string' ? await this.#options.keys.find(jwk.kid) : undefined
    return named ?? found(await this.#options.keys.find(await calculateJwkThumbprint(jwk)))
  }

  #isExpired ({ expires }: TokenClaims): boolean {
    return Math.floor(this.#now() / 1000) - LEEWAY_SECONDS >= expires
  }
}

function found (key: TrustedKey | undefined): TrustedKey {
  if (key === undefined) throw new TokenRefused('the token is signed by a key that is not trusted')
  return key
}

function hashOf (token: string): string {
  return createHash('sha256').update(token, 'latin1').digest('base64')
}
