import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { serveProduct } from './product.js'
import type { Product } from './product.js'

export type Tls = NonNullable<NonNullable<RegistryConfigInput['http']>['tls']>

/** Makes a self-signed certificate for localhost; returns its files. */
export function certify (directory: string, name: string): { certificate: string, key: string } {
  const [certificate, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate
  ], { stdio: 'ignore' })
  return { certificate, key }
}

/** The product over HTTPS, with its content in memory. `http` is what else the configuration has there. */
export async function serveTls (t: Test, directory: string, tls: Tls, http: object = {}): Promise<Product & { port: number }> {
  const file = join(directory, 'config.json')
  writeFileSync(file, JSON.stringify({ version: '0.1', storage: { inmemory: {} }, http: { addr: '127.0.0.1:0', tls, ...http } }))
  const product = await serveProduct(t, [file], directory)
  return Object.assign(product, { port: Number(product.host.split(':')[1]) })
}
