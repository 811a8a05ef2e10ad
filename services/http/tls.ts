import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { SecureContextOptions, TLSSocket, TlsOptions } from 'node:tls'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { ConfigError } from '../errors/config-error.js'

export type TlsConfig = NonNullable<RegistryConfig['http']['tls']>

/** What the server is made with, and what a connection has to show before its first request. */
export interface ServerTls {
  readonly options: TlsOptions
  /** False: the connection is cut. */
  readonly admits: (socket: TLSSocket) => boolean
  /** The files that were read; when they change, `reload` reads them again. */
  readonly files: readonly string[]
  /** Certificate and key as they are now. @throws {ConfigError} */
  readonly reload: () => SecureContextOptions
}

/**
 * Turns `http.tls` into options for Node. Undefined when there is no TLS to speak.
 *
 * @throws {ConfigError} naming the key, and the file where it is one
 */
export function serverTls (config: TlsConfig | undefined): ServerTls | undefined {
  const { certificate, key, letsencrypt, clientcas = [], clientauth, minimumtls, ciphersuites = [] } = config ?? {}
  if (letsencrypt !== undefined) throw new ConfigError('http.tls.letsencrypt: is not supported; let a reverse proxy get the certificates')
  if (certificate === undefined && key === undefined) return undefined
  if (certificate === undefined) throw new ConfigError('http.tls.certificate: is needed where http.tls.key is given')
  if (key === undefined) throw new ConfigError('http.tls.key: is needed where http.tls.certificate is given')
  const shared = {
    minVersion: minimumtls === 'tls1.3' ? 'TLSv1.3' as const : 'TLSv1.2' as const,
    ciphers: cipherNames(ciphersuites),
    ...(clientcas.length === 0 ? {} : { ca: clientcas.map((file, i) => readPem(file, `http.tls.clientcas[${i}]`)) })
  }
  const reload = (): SecureContextOptions => ({ ...shared, ...keyPair(certificate, key) })
  const mode = clientcas.length === 0 ? 'none' : clientauth ?? 'require-and-verify-client-cert'
  return { options: { ...reload(), ...CLIENT_AUTH[mode] }, admits: ADMISSION[mode], files: [certificate, key], reload }
}

type ClientAuth = NonNullable<TlsConfig['clientauth']> | 'none'

const CLIENT_AUTH: Readonly<Record<ClientAuth, TlsOptions>> = {
  none: {},
  'request-client-cert': { requestCert: true, rejectUnauthorized: false },
  'require-any-client-cert': { requestCert: true, rejectUnauthorized: false },
  'verify-client-cert-if-given': { requestCert: true, rejectUnauthorized: false },
  'require-and-verify-client-cert': { requestCert: true, rejectUnauthorized: true }
}

// Node knows "ask" and "ask and verify"; what lies between is decided when the handshake is over.
const ADMISSION: Readonly<Record<ClientAuth, (socket: TLSSocket) => boolean>> = {
  none: () => true,
  'request-client-cert': () => true,
  'require-any-client-cert': hasCertificate,
  'verify-client-cert-if-given': socket => socket.authorized || !hasCertificate(socket),
  'require-and-verify-client-cert': socket => socket.authorized
}

function hasCertificate (socket: TLSSocket): boolean {
  return Object.keys(socket.getPeerCertificate()).length > 0
}

function keyPair (certificate: string, key: string): { cert: Buffer, key: Buffer } {
  const pair = { cert: readPem(certificate, 'http.tls.certificate'), key: readPem(key, 'http.tls.key') }
  try {
    createSecureContext(pair)
  } catch (error) {
    throw new ConfigError(`http.tls.certificate: ${certificate} and ${key} cannot be used together (${(error as Error).message})`, { cause: error })
  }
  return pair
}

function readPem (file: string, key: string): Buffer {
  let content: Buffer
  try {
    content = readFileSync(file)
  } catch (error) {
    throw new ConfigError(`${key}: cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, { cause: error })
  }
  if (!content.includes('-----BEGIN ')) throw new ConfigError(`${key}: ${file} is no PEM file`)
  return content
}

/** Go's names, and what OpenSSL calls them. The suites of TLS 1.3 are always on. */
const SUITES: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA: 'ECDHE-RSA-DES-CBC3-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_3DES_EDE_CBC_SHA: 'DES-CBC3-SHA'
}
const TLS_13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
/** Go's own choice: forward secrecy and authenticated encryption only. */
const DEFAULT_SUITES = Object.keys(SUITES).slice(0, 6)

function cipherNames (suites: readonly string[]): string {
  const unknown = suites.findIndex(name => SUITES[name] === undefined && !TLS_13.includes(name))
  if (unknown !== -1) throw new ConfigError(`http.tls.ciphersuites[${unknown}]: there is no suite ${suites[unknown]}`)
  const chosen = suites.filter(name => SUITES[name] !== undefined)
  return [...TLS_13, ...(suites.length === 0 ? DEFAULT_SUITES : chosen).map(name => SUITES[name])].join(':')
}
