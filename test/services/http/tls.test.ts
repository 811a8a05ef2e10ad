import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { serverTls } from '../../../services/http/tls.js'
import type { TlsConfig } from '../../../services/http/tls.js'
import { ConfigError } from '../../../services/errors/config-error.js'

function refusal (config: Partial<TlsConfig>): string {
  try {
    serverTls(config as TlsConfig)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'nothing was refused'
}

t.test('without certificate and key there is no TLS', async t => {
  t.equal(serverTls(undefined), undefined)
  t.equal(serverTls({} as TlsConfig), undefined)
})

t.test('what cannot be used is one line that names key and file', async t => {
  const directory = t.testdir({ text: 'no certificate', pem: '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n' })
  const [text, pem] = [join(directory, 'text'), join(directory, 'pem')]
  t.equal(refusal({ certificate: pem }), 'http.tls.key: is needed where http.tls.certificate is given')
  t.equal(refusal({ key: pem }), 'http.tls.certificate: is needed where http.tls.key is given')
  t.equal(refusal({ certificate: '/nowhere', key: pem }), 'http.tls.certificate: cannot read /nowhere (ENOENT)')
  t.equal(refusal({ certificate: pem, key: text }), `http.tls.key: ${text} is no PEM file`)
  t.match(refusal({ certificate: pem, key: pem }), new RegExp(`^http\\.tls\\.certificate: ${pem} and ${pem} cannot be used together \\(`))
  t.equal(refusal({ certificate: pem, key: pem, clientcas: [pem, '/nowhere'] }), 'http.tls.clientcas[1]: cannot read /nowhere (ENOENT)')
  t.equal(refusal({ certificate: pem, key: pem, ciphersuites: ['TLS_AES_128_GCM_SHA256', 'TLS_NONE'] }), 'http.tls.ciphersuites[1]: there is no suite TLS_NONE')
  t.equal(refusal({ letsencrypt: { email: 'a@b.c' } }), 'http.tls.letsencrypt: is not supported; let a reverse proxy get the certificates')
  writeFileSync(pem, '')
  t.equal(refusal({ certificate: pem, key: pem }), `http.tls.certificate: ${pem} is no PEM file`)
})
