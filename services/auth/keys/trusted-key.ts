import { createHash, createPublicKey } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import type { JWK } from 'jose'

/** A public key, and the signatures it may verify: never none, never a symmetric one. */
export interface TrustedKey {
  readonly key: KeyObject
  readonly algorithms: readonly string[]
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }
const RSA_BITS = 2048
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

/** A key as one that verifies; undefined for one that cannot: of another kind, or RSA of less than 2048 bits. */
export function trustedKey (key: KeyObject): TrustedKey | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  const curve = CURVES[details?.namedCurve ?? '']
  const algorithms = type === 'ed25519'
    ? ['EdDSA']
    : type === 'rsa' && (details?.modulusLength ?? 0) >= RSA_BITS
      ? RSA
      : type === 'ec' && curve !== undefined ? [curve] : []
  return algorithms.length === 0 ? undefined : { key, algorithms }
}

/** An entry of a key set, with its own limits (`alg`, `use`, `key_ops`) on top. Undefined when it cannot verify. */
export function trustedJwk (jwk: JWK): TrustedKey | undefined {
  if (jwk.kty === 'oct' || (jwk.use !== undefined && jwk.use !== 'sig') || jwk.key_ops?.includes('verify') === false) return undefined
  const trusted = trustedKey(createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }))
  if (trusted === undefined || jwk.alg === undefined) return trusted
  const algorithms = trusted.algorithms.filter(name => name === jwk.alg)
  return algorithms.length === 0 ? undefined : { ...trusted, algorithms }
}

/** The names tokens call a key by: its RFC 7638 thumbprint, and what registry 2 and its token servers have (libtrust). */
export async function keyIds (key: KeyObject): Promise<string[]> {
  return [await calculateJwkThumbprint(key), libtrustId(key)]
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** `ABCD:EFGH:…`, 12 groups: base32 of the first 240 bits of the SHA-256 of the key in DER. */
export function libtrustId (key: KeyObject): string {
  const hash = createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest().subarray(0, 30)
  const bits = [...hash].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const letters = (bits.match(/.{5}/g) ?? []).map(five => BASE32[Number.parseInt(five, 2)]).join('')
  return (letters.match(/.{4}/g) ?? []).join(':')
}
