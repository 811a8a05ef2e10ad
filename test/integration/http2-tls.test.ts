import { once } from 'node:events'
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { connect } from 'node:tls'
import t from 'tap'
import { certify, serveTls } from '../helpers/certificates.js'
import type { Tls } from '../helpers/certificates.js'
import { client, needs, skopeo } from '../helpers/clients.js'
import { answerOf, ask, begin, openSession } from '../helpers/http2.js'
import { blob, sha256 } from '../helpers/images.js'
import { ociLayoutDigests, writeOciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'

const content = blob('0123456789')
const PUSH = `/v2/a/blobs/uploads/?digest=${content.digest}`

/** What the server chooses of what a client offers. */
async function chosen (port: number, ALPNProtocols?: string[]): Promise<string | false | null> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }) })
  await once(socket, 'secureConnect')
  const { alpnProtocol } = socket
  socket.write('GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  if (alpnProtocol !== 'h2') t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
  socket.destroy()
  return alpnProtocol
}

t.test('HTTP/2 is spoken with TLS as the client wants it, or not at all', needs('openssl'), async t => {
  const directory = t.testdir()
  const pair = certify(directory, 'first')
  const both = await serveTls(t, directory, pair)
  t.equal(await chosen(both.port, ['h2', 'http/1.1']), 'h2')
  t.equal(await chosen(both.port, ['http/1.1']), 'http/1.1')
  t.equal(await chosen(both.port), false)
  const session = await openSession(t, both.url)
  const pushed = await ask(session, 'POST', PUSH, {}, content.bytes)
  t.equal(pushed.status, 201)
  t.equal(pushed.headers['location'], `${both.url}/v2/a/blobs/${content.digest}`)
  await both.logged(/method=POST .*proto=HTTP\/2\.0 .*status=201/)
  t.equal(await both.stop(), 0)
  t.notMatch(both.log, /Warning/)

  const one = await serveTls(t, directory, pair, { http2: { disabled: true } })
  t.equal(await chosen(one.port, ['h2', 'http/1.1']), 'http/1.1')
  t.equal(await chosen(one.port), false)
  await t.rejects(chosen(one.port, ['h2']))
})

t.test('a new certificate is taken over for HTTP/2 too', needs('openssl'), async t => {
  const directory = t.testdir()
  const [first, second] = [certify(directory, 'first'), certify(directory, 'second')]
  const [certificate, key] = [join(directory, 'live.crt'), join(directory, 'live.key')]
  copyFileSync(first.certificate, certificate)
  copyFileSync(first.key, key)
  const product = await serveTls(t, directory, { certificate, key })
  const kept = await openSession(t, product.url)
  for (const [from, to] of [[second.certificate, certificate], [second.key, key]] as const) {
    copyFileSync(from, `${to}.new`)
    renameSync(`${to}.new`, to)
  }
  await product.logged(/the certificate was read again/)
  const fresh = await openSession(t, product.url, { ca: readFileSync(second.certificate), rejectUnauthorized: true })
  for (const session of [kept, fresh]) t.equal((await ask(session, 'GET', '/v2/')).status, 200)
})

t.test('clients show certificates over HTTP/2 as the configuration asks for them', needs('openssl'), async t => {
  const directory = t.testdir()
  const [server, known, stranger] = [certify(directory, 'server'), certify(directory, 'known'), certify(directory, 'stranger')]
  const shown = { none: {}, known: { cert: readFileSync(known.certificate), key: readFileSync(known.key) }, stranger: { cert: readFileSync(stranger.certificate), key: readFileSync(stranger.key) } }
  const admitted = {
    'require-and-verify-client-cert': ['known'],
    'require-any-client-cert': ['known', 'stranger'],
    'verify-client-cert-if-given': ['none', 'known'],
    'request-client-cert': ['none', 'known', 'stranger']
  } as const satisfies Record<NonNullable<Tls['clientauth']>, unknown>
  for (const [clientauth, names] of Object.entries(admitted)) {
    const product = await serveTls(t, directory, { ...server, clientcas: [known.certificate], clientauth: clientauth as NonNullable<Tls['clientauth']> })
    for (const [who, options] of Object.entries(shown)) {
      const status = await openSession(t, product.url, options).then(session => ask(session, 'GET', '/v2/')).then(answer => answer.status, () => undefined)
      t.equal(status, (names as readonly string[]).includes(who) ? 200 : undefined, `${clientauth}: ${who}`)
    }
    await product.stop()
  }
})

t.test('SIGTERM lets an upload over HTTP/2 come to its end, and a second one does not', needs('openssl'), async t => {
  const directory = t.testdir()
  const pair = certify(directory, 'first')
  for (const signals of [1, 2]) {
    const product = await serveTls(t, directory, pair, { draintimeout: '60s' })
    const late = connectTcp({ host: '127.0.0.1', port: product.port })
    await once(late, 'connect')
    const session = await openSession(t, product.url)
    const idle = await openSession(t, product.url)
    const stream = begin(session, 'POST', PUSH, { 'content-length': 10, expect: '100-continue' })
    const answer = answerOf(stream)
    const refused = signals === 2 ? t.rejects(answer) : undefined
    await once(stream, 'continue')
    const idleClosed = once(idle, 'close')
    product.signal('SIGTERM')
    await product.logged(/SIGTERM: stopping/)
    await idleClosed
    // A handshake that was begun before may end after; the session only hears that it comes too late.
    const tooLate = connectHttp2(product.url, { createConnection: () => connect({ socket: late, ALPNProtocols: ['h2'], rejectUnauthorized: false }) })
    tooLate.on('error', () => {})
    await once(tooLate, 'close')
    if (signals === 1) {
      stream.end(content.bytes)
      t.equal((await answer).status, 201)
      t.equal((await product.ended).status, 0)
    } else {
      t.equal(await product.stop(), 1)
      await refused
    }
  }
})

t.test('what is under way when the drain time is over is cut, and so are handshakes that never end', needs('openssl'), async t => {
  const directory = t.testdir()
  const product = await serveTls(t, directory, certify(directory, 'first'))
  const silent = connectTcp({ host: '127.0.0.1', port: product.port }).on('error', () => {})
  await once(silent, 'connect')
  const stream = begin(await openSession(t, product.url), 'POST', PUSH, { 'content-length': 10, expect: '100-continue' })
  const refused = t.rejects(answerOf(stream), /no answer/)
  await once(stream, 'continue')
  t.equal(await product.stop(), 0)
  await refused
  silent.destroy()
})

t.test('curl pushes and pulls a large blob over HTTP/2, with TLS and without', needs('openssl', 'curl'), async t => {
  const directory = t.testdir({ plain: {} })
  const bytes = Buffer.alloc(20 * 1024 * 1024, 'abcdefghijk')
  const [file, target] = [join(directory, 'blob'), join(directory, 'pulled')]
  writeFileSync(file, bytes)
  const products = [
    [await serveTls(t, directory, certify(directory, 'first')), '--http2'],
    [await startProduct(t, join(directory, 'plain'), { http: { h2c: { enabled: true } } }), '--http2-prior-knowledge']
  ] as const
  for (const [{ url }, option] of products) {
    const curl = async (...args: string[]): Promise<string> => await client('curl', '-sSk', option, '-w', ' %{http_version} %{http_code}', ...args)
    const blobs = `${url}/v2/a/blobs`
    t.match(await curl('--data-binary', `@${file}`, '-H', 'content-type: application/octet-stream', `${blobs}/uploads/?digest=${sha256(bytes)}`), / 2 201$/)
    t.equal(await curl('-o', target, `${blobs}/${sha256(bytes)}`), ' 2 200')
    t.ok(readFileSync(target).equals(bytes))
    t.equal(await curl('-o', target, '-r', '1000-2999999', `${blobs}/${sha256(bytes)}`), ' 2 206')
    t.ok(readFileSync(target).equals(bytes.subarray(1000, 3_000_000)))
  }
  const [{ url }] = products[1]
  t.equal(await client('curl', '-sS', '-o', target, '-w', '%{http_version} %{http_code}', '--http2', `${url}/v2/`), '1.1 200', 'Upgrade: h2c is passed over')
})

t.test('crane and oras speak HTTP/2 and skopeo HTTP/1.1 with the same server, and all of them push and pull', needs('openssl', 'crane', 'oras', 'skopeo'), async t => {
  const directory = t.testdir({ source: {} })
  const source = join(directory, 'source')
  await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 3_500_000 })
  const product = await serveTls(t, directory, certify(directory, 'first'), {})
  const versions = (): string[] => [...new Set([...product.log.matchAll(/proto=(\S+)/g)].map(([, version = '']) => version))]

  await client('crane', 'push', '--insecure', '--index', source, `${product.host}/team/crane:1.0`)
  await client('crane', 'pull', '--insecure', '--format', 'oci', `${product.host}/team/crane:1.0`, join(directory, 'crane'))
  await client('oras', 'cp', '--recursive', '--from-insecure', '--to-insecure', `${product.host}/team/crane:1.0`, `${product.host}/team/oras:1.0`)
  await product.logged(/method=PUT .*proto=HTTP\/2\.0 .*uri=\/v2\/team\/oras\/manifests\/1\.0 .*status=201/)
  t.same(versions(), ['HTTP/2.0'])

  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, `docker://${product.host}/team/skopeo:1.0`)
  await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${product.host}/team/skopeo:1.0`, `oci:${join(directory, 'skopeo')}:1.0`)
  t.same(await ociLayoutDigests(join(directory, 'skopeo')), await ociLayoutDigests(source))
  t.same(versions(), ['HTTP/2.0', 'HTTP/1.1'])
})
