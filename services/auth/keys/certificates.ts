import { X509Certificate } from 'node:crypto'
import { extensionsOf, pathLength, signatureOid } from './der.js'

/** Certificates beyond this many are no chain anybody uses, and each costs a signature to check. */
const MAX_CHAIN = 8

const BASIC_CONSTRAINTS = '551d13'
/** Extensions whose rules are followed, or that say nothing about who may sign what. */
const UNDERSTOOD = new Set([BASIC_CONSTRAINTS, '551d0e', '551d0f', '551d11', '551d20', '551d23', '551d25'])

/** Signatures over MD5 and SHA-1: whoever can find collisions can make certificates. */
const BROKEN = new Set(['2a864886f70d010104', '2a864886f70d010105', '2a8648ce3d0401'])

/**
 * The certificates of a PEM file; whatever else is in it is passed over.
 *
 * @throws {Error} for a certificate that cannot be read
 */
export function parseBundle (pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  return blocks.map(block => new X509Certificate(block))
}

/**
 * Checks an `x5c` header (RFC 7515, 4.1.6) and returns the certificate that signs: the first one. There must be a way
 * from it to a certificate of the bundle; each one on it is signed by the next (not over MD5 or SHA-1), within its dates
 * and free of critical extensions that are not understood; those that sign are authorities (CA, keyCertSign) whose path length is kept. A
 * certificate that is itself in the bundle needs no issuer. Revocation is not checked, and names are not constrained:
 * tokens have none.
 *
 * @throws {Error} that says what is wrong
 */
export function verifyChain (x5c: unknown, roots: readonly X509Certificate[], now: number): X509Certificate {
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > MAX_CHAIN || !x5c.every(part => typeof part === 'string')) {
    throw new Error(`x5c must be a list of 1 to ${MAX_CHAIN} certificates`)
  }
  const [leaf, ...others] = x5c.map(part => new X509Certificate(Buffer.from(part, 'base64'))) as [X509Certificate, ...X509Certificate[]]
  const unused = new Set(others)
  let at = leaf
  for (let depth = 0; ; depth++) {
    checkCertificate(at, now)
    if (roots.some(root => root.fingerprint256 === at.fingerprint256)) return leaf
    const root = roots.find(candidate => isWithin(candidate, now) && issued(candidate, at, depth))
    if (root !== undefined) return leaf
    const next = [...unused].find(candidate => issued(candidate, at, depth))
    if (next === undefined) throw new Error('the certificates of the token lead to none that is trusted')
    // Each certificate is used once: a ring of them ends.
    unused.delete(next)
    at = next
  }
}

/** @throws {Error} when a certificate is out of its dates, or wants something observed that is not known here */
function checkCertificate (certificate: X509Certificate, now: number): void {
  if (!isWithin(certificate, now)) throw new Error('a certificate of the token is out of its dates')
  const strange = extensionsOf(certificate.raw).find(({ oid, isCritical }) => isCritical && !UNDERSTOOD.has(oid))
  if (strange !== undefined) throw new Error('a certificate of the token has a critical extension that is not understood')
}

function isWithin ({ validFrom, validTo }: X509Certificate, now: number): boolean {
  return Date.parse(validFrom) <= now && now <= Date.parse(validTo)
}

/** Whether an authority signed a certificate; `below`: how many authorities stand between it and the one that signs tokens. */
function issued (issuer: X509Certificate, certificate: X509Certificate, below: number): boolean {
  // checkIssued compares names and key identifiers and wants keyCertSign, if usages are listed.
  if (!issuer.ca || BROKEN.has(signatureOid(certificate.raw)) || !certificate.checkIssued(issuer)) return false
  const constraints = extensionsOf(issuer.raw).find(({ oid }) => oid === BASIC_CONSTRAINTS)
  const limit = constraints === undefined ? undefined : pathLength(constraints.value)
  return (limit === undefined || below <= limit) && certificate.verify(issuer.publicKey)
}
