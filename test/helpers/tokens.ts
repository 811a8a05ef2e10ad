import { createHash, generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignJWT, calculateJwkThumbprint, exportJWK } from 'jose'
import type { JWK, JWTHeaderParameters, JWTPayload } from 'jose'
import type { Test } from 'tap'
import type { AccessRecord, AccessRequest } from '../../services/auth/access.js'

export const ISSUER = 'issuer.example'
export const SERVICE = 'registry.example'
/** 2026-01-01, where the fake clocks stand. */
export const NOW = Date.UTC(2026, 0, 1)
export const SECONDS = NOW / 1000

export interface KeyPair { readonly privateKey: KeyObject, readonly publicKey: KeyObject }

export function ecKey (namedCurve = 'P-256'): KeyPair {
  return generateKeyPairSync('ec', { namedCurve })
}

export async function thumbprint (key: KeyObject): Promise<string> {
  return await calculateJwkThumbprint(key)
}

export async function publicJwk ({ publicKey }: KeyPair, more: Partial<JWK> = {}): Promise<JWK> {
  return { ...await exportJWK(publicKey), ...more }
}

/** Claims, also such as no token server would write. */
export type Claims = Record<string, unknown>

/** A claim as token servers write it: `repository:team/app:pull,push`. */
export function access (...scopes: string[]): Claims {
  return {
    access: scopes.map(scope => {
      const [type, name, actions = ''] = scope.split(':')
      return { type, name, actions: actions.split(',') }
    })
  }
}

/** A token that is good for everything asked of it, but for what the arguments change. */
export async function signToken ({ privateKey }: Pick<KeyPair, 'privateKey'>, header: Partial<JWTHeaderParameters>, claims: Claims = {}): Promise<string> {
  const seconds = Math.floor(Date.now() / 1000)
  const payload = { iss: ISSUER, aud: SERVICE, sub: 'ann', exp: seconds + 300, nbf: seconds, iat: seconds, jti: 'x', ...claims }
  return await new SignJWT(payload as JWTPayload).setProtectedHeader({ typ: 'JWT', alg: 'ES256', ...header }).sign(privateKey)
}

/** What access controllers look at of a request. */
export function request (authorization?: string, headers: Record<string, string> = {}): AccessRequest {
  return {
    method: 'GET',
    ip: '192.0.2.1',
    protocol: 'http',
    host: 'registry.example:5000',
    headers: { host: 'registry.example:5000', ...headers, ...(authorization === undefined ? {} : { authorization }) }
  }
}

export function records (...scopes: string[]): AccessRecord[] {
  return scopes.map(scope => {
    const [type, name, action] = scope.split(':')
    return { type, name, action } as AccessRecord
  })
}

/** Key id of libtrust, written down from its source: base32 of 240 bits of SHA-256 over the DER, in groups of four. */
export function libtrustKid (key: KeyObject): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  let bits = BigInt(`0x${createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex').slice(0, 60)}`)
  let letters = ''
  for (let i = 0; i < 48; i++, bits >>= 5n) letters = `${alphabet[Number(bits & 31n)] ?? ''}${letters}`
  return (letters.match(/..../g) ?? []).join(':')
}

export interface Certificate {
  readonly pem: string
  /** For `x5c`. */
  readonly der: string
  readonly key: KeyPair
  readonly files: { readonly certificate: string, readonly key: string }
}

export interface CertificateOptions { readonly issuer?: Certificate, readonly extensions?: readonly string[], readonly digest?: string, readonly days?: number, readonly subject?: string }

export const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'] as const

/** A certificate made with openssl, self-signed unless it has an issuer. */
export function certificate (directory: string, name: string, key: KeyPair, { issuer, extensions = [], digest = 'sha256', days = 30, subject = name }: CertificateOptions = {}): Certificate {
  const files = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) }
  const [request, config] = [join(directory, `${name}.csr`), join(directory, `${name}.cnf`)]
  writeFileSync(files.key, key.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  writeFileSync(config, `[req]\ndistinguished_name=dn\n[dn]\n[ext]\nsubjectKeyIdentifier=hash\n${extensions.join('\n')}\n`)
  openssl('req', '-new', '-config', config, '-key', files.key, '-subj', `/CN=${subject}`, '-out', request)
  const by = issuer === undefined ? ['-signkey', files.key] : ['-CA', issuer.files.certificate, '-CAkey', issuer.files.key, '-CAcreateserial']
  openssl('x509', '-req', '-in', request, ...by, '-days', String(days), `-${digest}`, '-extfile', config, '-extensions', 'ext', '-out', files.certificate)
  const pem = readFileSync(files.certificate, 'utf8')
  return { pem, der: pem.replace(/-----[^-]+-----|\s/g, ''), key, files }
}

function openssl (...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}

/** Moves the clock that everything made after this call tells the time by. Put right with the test. */
export function movedClock (t: Test): { advance: (ms: number) => void } {
  const original = Date.now
  let ahead = 0
  Date.now = () => original() + ahead
  t.teardown(() => { Date.now = original })
  return { advance: ms => { ahead += ms } }
}
