import { OciError } from '../errors/oci-error.js'

declare const nameBrand: unique symbol
declare const tagBrand: unique symbol
declare const digestBrand: unique symbol

/** A repository name that obeys the grammar, for example `team/app`. Made only by {@link parseRepositoryName}. */
export type RepositoryName = string & { readonly [nameBrand]: true }
/** A tag that obeys the grammar, for example `1.0`. Made only by {@link parseTag}. */
export type Tag = string & { readonly [tagBrand]: true }
/** `sha256:<64 hex>` or `sha512:<128 hex>`, lower case. Made only by {@link parseDigest} and by hashing. */
export type Digest = string & { readonly [digestBrand]: true }

/** Digest algorithms the registry verifies. sha256 is canonical: content lies in storage under its sha256. */
export type Algorithm = 'sha256' | 'sha512'
export const CANONICAL: Algorithm = 'sha256'

/** What a manifest is asked by. */
export type Reference = { readonly tag: Tag } | { readonly digest: Digest }

// dist-spec "Pulling manifests": components of alphanumerics joined by one '.', one or two '_', or any run of '-'.
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const HEX_LENGTH: Readonly<Record<Algorithm, number>> = { sha256: 64, sha512: 128 }
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/
const MAX_NAME_LENGTH = 255

/** @throws {OciError} NAME_INVALID when the text breaks the grammar or is longer than 255 characters. */
export function parseRepositoryName (text: string): RepositoryName {
  if (text.length > MAX_NAME_LENGTH || !NAME.test(text)) {
    throw new OciError('NAME_INVALID', { detail: { name: text.slice(0, MAX_NAME_LENGTH) } })
  }
  return text as RepositoryName
}

export function isRepositoryName (text: string): text is RepositoryName {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text)
}

export function isTag (text: string): text is Tag {
  return TAG.test(text)
}

/** @throws {OciError} TAG_INVALID when the text is not a tag. */
export function parseTag (text: string): Tag {
  if (!isTag(text)) throw new OciError('TAG_INVALID', { message: 'invalid tag', detail: { tag: text.slice(0, 256) } })
  return text
}

export function isDigest (text: string): text is Digest {
  return DIGEST.test(text)
}

/** @throws {OciError} DIGEST_INVALID when malformed, of another length than its algorithm says, or unsupported (R-034 … R-036). */
export function parseDigest (text: string): Digest {
  if (isDigest(text)) return text
  throw new OciError('DIGEST_INVALID', { message: 'invalid digest', detail: digestProblem(text) })
}

/** Tag or digest? A colon decides, because no tag can hold one; `sha256-<hex>` therefore stays a tag. */
export function parseReference (text: string): Reference {
  return text.includes(':') ? { digest: parseDigest(text) } : { tag: parseTag(text) }
}

export function algorithmOf (digest: Digest): Algorithm {
  return digest.slice(0, digest.indexOf(':')) as Algorithm
}

export function hexOf (digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

export function isCanonical (digest: Digest): boolean {
  return algorithmOf(digest) === CANONICAL
}

/** A digest from an algorithm and the hex that hashing produced. */
export function digestOf (algorithm: Algorithm, hex: string): Digest {
  return `${algorithm}:${hex}` as Digest
}

/** @throws {OciError} DIGEST_INVALID for an algorithm the registry cannot verify. */
export function parseAlgorithm (text: string): Algorithm {
  if (!isAlgorithm(text)) throw unsupportedAlgorithm(text)
  return text
}

export function isAlgorithm (text: string): text is Algorithm {
  return Object.hasOwn(HEX_LENGTH, text)
}

function unsupportedAlgorithm (text: string): OciError {
  return new OciError('DIGEST_INVALID', { message: 'invalid digest', detail: `unsupported digest algorithm: ${text.slice(0, 64)}` })
}

/** What is wrong with what is no digest. */
function digestProblem (text: string): string {
  const colon = text.indexOf(':')
  if (colon < 1) return 'invalid checksum digest format'
  const algorithm = text.slice(0, colon)
  if (!isAlgorithm(algorithm)) return `unsupported digest algorithm: ${algorithm.slice(0, 64)}`
  if (text.length - colon - 1 !== HEX_LENGTH[algorithm]) return 'invalid checksum digest length'
  return 'invalid checksum digest format'
}
