import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { parseBundle, verifyChain } from '../../../../services/auth/keys/certificates.js'
import { CA, certificate, ecKey } from '../../../helpers/tokens.js'
import type { Certificate, CertificateOptions } from '../../../helpers/tokens.js'

const directory = t.testdir({})
const HOUR = 3_600_000
const now = Date.now() + HOUR
const make = (name: string, options: CertificateOptions = {}): Certificate => certificate(directory, name, ecKey(), options)

const root = make('root', { extensions: CA, days: 365 })
const limited = make('limited', { issuer: root, extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'] })
const unlimited = make('unlimited', { issuer: root, extensions: CA })
const belowLimited = make('below-limited', { issuer: limited, extensions: CA })
const belowUnlimited = make('below-unlimited', { issuer: unlimited, extensions: CA })
const noAuthority = make('no-authority', { issuer: root, extensions: ['basicConstraints=critical,CA:FALSE'] })
const notForCertificates = make('not-for-certificates', { issuer: root, extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature'] })
const strangerRoot = make('stranger', { extensions: CA, subject: 'root' })
const shortLived = make('short-lived', { issuer: root, extensions: CA, days: 1 })

const leafOf = (issuer: Certificate, options: CertificateOptions = {}): Certificate => make(`leaf-of-${issuer.files.key.split('/').at(-1)}`, { issuer, ...options })
const bundle = parseBundle(root.pem)
const ders = (...chain: Certificate[]): string[] => chain.map(({ der }) => der)
const direct = leafOf(root)

const GOOD: Array<[string, string[]]> = [
  ['a certificate that the root signed', ders(direct)],
  ['with the root sent along', ders(direct, root)],
  ['the root itself', ders(root)],
  ['over one authority', ders(leafOf(limited), limited)],
  ['over two authorities', ders(leafOf(belowUnlimited), belowUnlimited, unlimited)],
  ['in another order, with one too many', ders(leafOf(belowUnlimited, { digest: 'sha512' }), unlimited, limited, belowUnlimited)]
]

for (const [name, chain] of GOOD) {
  t.test(`good: ${name}`, async t => {
    t.equal(verifyChain(chain, bundle, now).raw.toString('base64'), chain[0])
  })
}

const NO_WAY = /lead to none that is trusted/
const BAD: Array<[string, unknown, RegExp]> = [
  ['no list', 'x', /must be a list/],
  ['an empty list', [], /must be a list/],
  ['nine certificates', Array(9).fill(direct.der), /must be a list/],
  ['a list of other things', [1], /must be a list/],
  ['no certificate', ['AAAA'], /./],
  ['a public key alone', [Buffer.from('x').toString('base64')], /./],
  ['a certificate of another root with the same name', ders(leafOf(strangerRoot), strangerRoot), NO_WAY],
  ['an authority left out', ders(leafOf(limited)), NO_WAY],
  ['an authority below one that allows none', ders(leafOf(belowLimited), belowLimited, limited), NO_WAY],
  ['signed by a certificate that is no authority', ders(leafOf(noAuthority), noAuthority), NO_WAY],
  ['signed by an authority that may not sign certificates', ders(leafOf(notForCertificates), notForCertificates), NO_WAY],
  ['signed over SHA-1', ders(make('sha1', { issuer: root, digest: 'sha1' })), NO_WAY],
  ['a critical extension nobody knows', ders(make('critical', { issuer: root, extensions: ['1.2.3.4=critical,ASN1:UTF8String:x'] })), /not understood/]
]

for (const [name, chain, reason] of BAD) {
  t.test(`bad: ${name}`, async t => {
    t.throws(() => verifyChain(chain, bundle, now), reason)
  })
}

t.test('an authority for certain names only is refused where it stands in the chain', async t => {
  const names = make('names2', { issuer: root, extensions: [...CA, 'nameConstraints=critical,permitted;DNS:example.com'] })
  t.throws(() => verifyChain(ders(leafOf(names), names), bundle, now), /not understood/)
})

t.test('a certificate is good within its dates and not a second longer', async t => {
  const leaf = leafOf(shortLived, { days: 20 })
  const [from, to] = [Date.parse(new X509Certificate(shortLived.pem).validFrom), Date.parse(new X509Certificate(shortLived.pem).validTo)]
  const later = Date.parse(new X509Certificate(leaf.pem).validFrom)
  t.ok(verifyChain(ders(leaf, shortLived), bundle, later))
  t.ok(verifyChain(ders(leaf, shortLived), bundle, to))
  t.throws(() => verifyChain(ders(leaf, shortLived), bundle, to + 1000), /out of its dates/, 'the authority in the chain')
  t.throws(() => verifyChain(ders(leaf, shortLived), bundle, from - 1000), /out of its dates/)
  t.throws(() => verifyChain(ders(direct), bundle, Date.parse(new X509Certificate(direct.pem).validTo) + 1000), /out of its dates/)
  t.throws(() => verifyChain(ders(leaf), parseBundle(shortLived.pem), to + 1000), NO_WAY, 'the authority in the bundle')
})

t.test('a ring of certificates that signed each other ends', async t => {
  const key = ecKey()
  const first = certificate(directory, 'ring1', key, { extensions: CA, subject: 'ring' })
  const second = certificate(directory, 'ring2', key, { extensions: CA, subject: 'ring' })
  t.throws(() => verifyChain(ders(first, second, first, second, first, second, first, second), bundle, now), NO_WAY)
})

t.test('a bundle may hold several certificates, and keys and remarks between them', async t => {
  t.equal(parseBundle(`# ours\n${root.pem}\n${root.key.privateKey.export({ type: 'pkcs8', format: 'pem' })}${limited.pem}`).length, 2)
  t.same(parseBundle('nothing'), [])
  t.throws(() => parseBundle('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'))
})
