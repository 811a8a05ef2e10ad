import { once } from 'node:events'
import { copyFileSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request } from 'node:https'
import type { RequestOptions } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { certify, serveTls } from '../helpers/certificates.js'
import type { Tls } from '../helpers/certificates.js'
import { needs, shortDirectory } from '../helpers/clients.js'
import { sha256 } from '../helpers/images.js'
import { CliProcess, runCli } from '../helpers/product.js'

/** One request on a connection of its own. */
async function ask (port: number, options: RequestOptions, body?: string): Promise<{ status: number | undefined, headers: IncomingMessage['headers'] }> {
  const sent = request({ host: '127.0.0.1', port, path: '/v2/', agent: false, rejectUnauthorized: false, ...options })
  sent.end(body)
  const [answer] = await once(sent, 'response') as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')
  return { status: answer.statusCode, headers: answer.headers }
}

async function subjectSeen (port: number): Promise<string | undefined> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return [subject.CN].flat()[0]
}

t.test('serves HTTPS, and Locations say so', needs('openssl'), async t => {
  const directory = t.testdir()
  const pair = certify(directory, 'first')
  const product = await serveTls(t, directory, pair)
  t.match(product.url, /^https:\/\/127\.0\.0\.1:\d+$/)
  const answer = await ask(product.port, { method: 'POST', path: `/v2/a/blobs/uploads/?digest=${sha256('x')}`, ca: readFileSync(pair.certificate), rejectUnauthorized: true }, 'x')
  t.equal(answer.status, 201)
  t.equal(answer.headers.location, `${product.url}/v2/a/blobs/${sha256('x')}`)
  t.equal(await product.stop(), 0)
})

t.test('a new certificate is taken over for new connections, and a broken one is not', needs('openssl'), async t => {
  const directory = t.testdir()
  const [first, second] = [certify(directory, 'first'), certify(directory, 'second')]
  const [certificate, key] = [join(directory, 'live.crt'), join(directory, 'live.key')]
  symlinkSync(first.certificate, certificate)
  copyFileSync(first.key, key)
  const product = await serveTls(t, directory, { certificate, key })
  const kept = connect({ host: '127.0.0.1', port: product.port, rejectUnauthorized: false })
  await once(kept, 'secureConnect')
  t.equal(await subjectSeen(product.port), 'first')

  // By turning a link and by renaming, as it is done where it matters.
  symlinkSync(second.certificate, `${certificate}.new`)
  renameSync(`${certificate}.new`, certificate)
  copyFileSync(second.key, `${key}.new`)
  renameSync(`${key}.new`, key)
  await product.logged(/the certificate was read again/)
  t.equal(await subjectSeen(product.port), 'second')
  kept.write('GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  const [answer] = await once(kept, 'data') as [Buffer]
  t.match(answer.toString('latin1'), /^HTTP\/1\.1 200 /, 'a connection with the old one lives on')

  writeFileSync(key, 'broken')
  await product.logged(/the old one stays/)
  t.equal(await subjectSeen(product.port), 'second')
})

t.test('clients show certificates as the configuration asks for them', needs('openssl'), async t => {
  const directory = t.testdir()
  const [server, known, stranger] = [certify(directory, 'server'), certify(directory, 'known'), certify(directory, 'stranger')]
  const shown = (pair: { certificate: string, key: string } | undefined): RequestOptions => pair === undefined ? {} : { cert: readFileSync(pair.certificate), key: readFileSync(pair.key) }
  const expected = {
    'require-and-verify-client-cert': { none: false, known: true, stranger: false },
    'require-any-client-cert': { none: false, known: true, stranger: true },
    'verify-client-cert-if-given': { none: true, known: true, stranger: false },
    'request-client-cert': { none: true, known: true, stranger: true }
  } as const
  for (const [clientauth, outcome] of Object.entries(expected)) {
    const product = await serveTls(t, directory, { ...server, clientcas: [known.certificate], clientauth: clientauth as NonNullable<Tls['clientauth']> })
    for (const [who, isAdmitted] of Object.entries({ none: outcome.none, known: outcome.known, stranger: outcome.stranger })) {
      const pair = who === 'none' ? undefined : who === 'known' ? known : stranger
      const status = await ask(product.port, shown(pair)).then(answer => answer.status, () => undefined)
      t.equal(status, isAdmitted ? 200 : undefined, `${clientauth}: ${who}`)
    }
    await product.stop()
  }
})

t.test('an old version of TLS is not spoken', needs('openssl'), async t => {
  const directory = t.testdir()
  const product = await serveTls(t, directory, { ...certify(directory, 'modern'), minimumtls: 'tls1.3' })
  t.equal((await ask(product.port, { minVersion: 'TLSv1.3' })).status, 200)
  await t.rejects(ask(product.port, { maxVersion: 'TLSv1.2' }))
})

t.test('listens on a socket, in the place of one that nobody answers on', async t => {
  const directory = await shortDirectory(t, 'socket')
  const path = join(directory, 'registry.sock')
  const file = join(directory, 'config.json')
  writeFileSync(file, JSON.stringify({ version: '0.1', storage: { inmemory: {}, maintenance: { uploadpurging: { enabled: false } } }, http: { net: 'unix', addr: path } }))
  const stale = createServer().listen(path)
  await once(stale, 'listening')
  const { status, stderr } = await runCli(t, ['serve', file], directory)
  t.equal(status, 1)
  t.equal(stderr, `oci-registry: http.addr: cannot listen on ${path}: the socket is in use\n`)
  // A process that was killed leaves its file behind.
  renameSync(path, `${path}.kept`)
  stale.close()
  await once(stale, 'close')
  renameSync(`${path}.kept`, path)

  await new CliProcess(t, ['serve', file], directory).logged(/listens on/)
  const sent = httpRequest({ socketPath: path, path: '/v2/' }).end()
  const [answer] = await once(sent, 'response') as [IncomingMessage]
  t.equal(answer.statusCode, 200)
  answer.resume()
})
