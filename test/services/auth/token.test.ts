import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { SignJWT, UnsecuredJWT, base64url } from 'jose'
import type { JWK } from 'jose'
import t from 'tap'
import { TrustedKeys } from '../../../services/auth/keys/trusted-keys.js'
import { parseBundle } from '../../../services/auth/keys/certificates.js'
import { keyIds, trustedKey } from '../../../services/auth/keys/trusted-key.js'
import { TokenController } from '../../../services/auth/token.js'
import { TokenVerifier } from '../../../services/auth/token-verifier.js'
import { OciError } from '../../../services/errors/oci-error.js'
import { CA, ISSUER, NOW, SECONDS, SERVICE, access, certificate, ecKey, publicJwk, records, request, signToken, thumbprint } from '../../helpers/tokens.js'
import type { Claims } from '../../helpers/tokens.js'

const key = ecKey()
const kid = await thumbprint(key.publicKey)
const stranger = ecKey()
const directory = t.testdir({})
const root = certificate(directory, 'root', ecKey(), { extensions: CA, days: 3650 })
const leaf = certificate(directory, 'leaf', ecKey(), { issuer: root, days: 3650 })
const clock = { now: NOW }
const REALM = 'https://auth.example/token'
const BASE = `Bearer realm="${REALM}",service="${SERVICE}"`

async function trust (...keys: Array<typeof key>): Promise<TrustedKeys> {
  const fixed = new Map()
  for (const { publicKey } of keys) for (const id of await keyIds(publicKey)) fixed.set(id, trustedKey(publicKey))
  return new TrustedKeys({ fixed, roots: parseBundle(root.pem) })
}

const verifier = new TokenVerifier({ keys: await trust(key), issuers: [ISSUER, 'second.example'], audiences: [SERVICE, 'second'], now: () => clock.now })
const controller = new TokenController({ verifier, realm: () => REALM, service: SERVICE })

/** The user that is let in, or the challenge. */
async function decide (authorization: string | undefined, ...scopes: string[]): Promise<string> {
  try {
    const { user } = await controller.authorize(request(authorization), records(...scopes))
    return user ?? 'somebody'
  } catch (error) {
    if (!OciError.is(error)) throw error
    t.equal(error.code, 'UNAUTHORIZED')
    t.equal(error.status, 401)
    t.same(Object.keys(error.headers), ['www-authenticate'])
    return error.headers['www-authenticate'] ?? ''
  }
}

const DATES = { exp: SECONDS + 300, nbf: SECONDS, iat: SECONDS }
const sign256 = async (claims: Claims = {}, header: Record<string, unknown> = {}): Promise<string> => await signToken(key, { kid, ...header }, { ...DATES, ...claims })
const SCOPE = 'repository:team/app:pull'
const good = access('repository:team/app:pull')
t.beforeEach(() => { clock.now = NOW })

t.test('a challenge says where to get a token and for what', async t => {
  const scope = (...scopes: string[]): string => `${BASE},scope="${scopes.join(' ')}"`
  t.equal(await decide(undefined), BASE)
  t.equal(await decide(undefined, SCOPE), scope(SCOPE))
  t.equal(await decide(undefined, 'repository:a:push', 'repository:a:pull', 'repository:b:pull'), scope('repository:a:pull,push', 'repository:b:pull'))
  t.equal(await decide(undefined, 'repository:a:delete'), scope('repository:a:delete'))
  t.equal(await decide(undefined, 'registry:catalog:*'), scope('registry:catalog:*'))
  for (const other of ['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer ', 'Token x', '', '\u00ff']) t.equal(await decide(other, SCOPE), scope(SCOPE), other)
})

t.test('quotes and backslashes in realm and service are escaped', async t => {
  const odd = new TokenController({ verifier, realm: () => 'https://x/"\\', service: 'a "b"' })
  t.same(odd.refusal(request(), []).headers, { 'www-authenticate': 'Bearer realm="https://x/\\"\\\\",service="a \\"b\\""' })
})

t.test('the body lists what was asked for, as docker\'s registry does', async t => {
  t.equal(controller.refusal(request(), []).detail, null)
  t.same(controller.refusal(request(), records(SCOPE, 'registry:catalog:*')).detail, [
    { Type: 'repository', Class: '', Name: 'team/app', Action: 'pull' }, { Type: 'registry', Class: '', Name: 'catalog', Action: '*' }
  ])
})

t.test('who has a good token with enough scope comes in, as the user it names', async t => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) t.equal(await decide(`${scheme} ${await sign256(good)}`, SCOPE), 'ann')
  const accepted: Claims[] = [
    { sub: '' }, { aud: ['x', SERVICE] }, { aud: 'second' }, { iss: 'second.example' }, { jti: 'other', nbf: undefined, iat: undefined },
    access('repository:team/app:*'), access('repository(plugin):team/app:push,pull'), access('repository:team/app:push', 'repository:team/app:pull')
  ]
  for (const claims of accepted) t.notMatch(await decide(`Bearer ${await sign256({ ...good, ...claims })}`, SCOPE), /^Bearer/, JSON.stringify(claims))
  t.equal(await decide(`Bearer ${await sign256({ sub: '' })}`), 'somebody')
  t.equal(await decide(`Bearer ${await sign256({ access: null })}`), 'ann', 'valid credentials are enough for the base')
})

const INSUFFICIENT: Array<[string, Claims, string[]]> = [
  ['nothing', {}, [SCOPE]],
  ['another repository', access('repository:team/other:pull'), [SCOPE]],
  ['a part of the name', access('repository:team:pull', 'repository:team/app/more:pull', 'repository:app:pull'), [SCOPE]],
  ['the name escaped', access('repository:team%2Fapp:pull', 'repository:team%2fapp:pull'), [SCOPE]],
  ['a pattern', access('repository:*:pull', 'repository:team/*:*'), [SCOPE]],
  ['another case', access('repository:Team/App:pull', 'Repository:team/app:pull', 'repository:team/app:PULL'), [SCOPE]],
  ['another type', access('registry:team/app:pull'), [SCOPE]],
  ['another action', access('repository:team/app:push'), [SCOPE]],
  ['half of it', good, [SCOPE, 'repository:team/app:push']],
  ['not the source of a mount', access('repository:team/app:pull,push'), [SCOPE, 'repository:team/base:pull']],
  ['a property of objects', access('__proto__:x:y', 'repository:constructor:pull'), ['repository:__proto__:pull']],
  ['a repository called catalog', access('repository:catalog:*'), ['registry:catalog:*']],
  ['no actions', { access: [{ type: 'repository', name: 'team/app' }, { type: 'repository', name: 'team/app', actions: null }] }, [SCOPE]]
]

for (const [name, claims, scopes] of INSUFFICIENT) {
  t.test(`too little scope: ${name}`, async t => {
    t.match(await decide(`Bearer ${await sign256(claims)}`, ...scopes), /^Bearer .*,scope=".*",error="insufficient_scope"$/)
  })
}

const invalid = `${BASE},scope="${SCOPE}",error="invalid_token"`
const forged = `${BASE},scope="${SCOPE}"`

t.test('claims that are not what they must be', async t => {
  const claims: Claims[] = [
    { iss: 'other' }, { iss: undefined }, { iss: '' }, { aud: 'other' }, { aud: ['other', 'another'] }, { aud: [] }, { aud: undefined },
    { exp: undefined }, { exp: 0 }, { exp: '9999999999' }, { nbf: 'x' },
    { access: {} }, { access: 'x' }, { access: [null] }, { access: ['x'] }, { access: [{ type: 1, name: 'x' }] }, { access: [{ type: 'repository' }] },
    { access: [{ type: 'repository', name: 'team/app', actions: 'pull' }] }, { access: [{ type: 'repository', name: 'team/app', actions: [1] }] },
    { sub: 1 }
  ]
  // jose would not sign some of them.
  for (const change of claims) {
    const body = { iss: ISSUER, aud: SERVICE, sub: 'ann', ...DATES, ...good, ...change }
    t.equal(await decide(`Bearer ${raw({ alg: 'ES256', kid }, body)}`, SCOPE), invalid, JSON.stringify(change))
  }
})

/** A token made by hand, signed with the good key. */
function raw (header: object, payload: object | string, privateKey = key.privateKey): string {
  const text = [JSON.stringify(header), typeof payload === 'string' ? payload : JSON.stringify(payload)].map(part => base64url.encode(part)).join('.')
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

t.test('a token is good from a minute before nbf to a minute after exp', async t => {
  const token = await sign256({ ...good, nbf: SECONDS, exp: SECONDS + 300 })
  const at = async (seconds: number): Promise<string> => {
    clock.now = NOW + seconds * 1000
    return await decide(`Bearer ${token}`, SCOPE)
  }
  t.equal(await at(-60.001), invalid)
  t.equal(await at(-61), invalid)
  t.equal(await at(-60), 'ann')
  t.equal(await at(359.999), 'ann')
  t.equal(await at(360), invalid, 'also one that was verified before')
  t.equal(await at(100), 'ann')
})

t.test('tokens that the good key did not sign', async t => {
  const spki = key.publicKey.export({ type: 'spki', format: 'pem' })
  const claims = { iss: ISSUER, aud: SERVICE, sub: 'ann', ...DATES, ...good }
  const [header = '', payload = '', signature = ''] = (await sign256(good)).split('.')
  const hmac = (secret: Parameters<typeof createHmac>[1], alg = 'HS256'): string => {
    const text = `${base64url.encode(JSON.stringify({ alg, kid, typ: 'JWT' }))}.${payload}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const jwk = JSON.stringify(await publicJwk(key))
  const refused: Record<string, string> = {
    'HS256 over the public key in PEM': hmac(spki),
    'HS256 over the public key in DER': hmac(key.publicKey.export({ type: 'spki', format: 'der' })),
    'HS256 over the JWK': hmac(jwk),
    'HS256 over nothing': hmac(''),
    'alg none': new UnsecuredJWT(claims).encode(),
    'alg none, named key': `${base64url.encode(JSON.stringify({ alg: 'none', kid }))}.${payload}.`,
    'alg None': `${base64url.encode(JSON.stringify({ alg: 'None', kid }))}.${payload}.${signature}`,
    'no alg': raw({ kid }, claims),
    'another alg': raw({ alg: 'ES384', kid }, claims),
    'no key': raw({ alg: 'ES256' }, claims),
    'a key of strange type': raw({ alg: 'ES256', kid: 1 }, claims),
    'an unknown key': await signToken(stranger, { kid: await thumbprint(stranger.publicKey) }, claims),
    'its own key in the header': await signToken(stranger, { jwk: await publicJwk(stranger) }, claims),
    'its own key in the header, with its name': await signToken(stranger, { jwk: await publicJwk(stranger, { kid: await thumbprint(stranger.publicKey) }) }, claims),
    'a broken key in the header': raw({ alg: 'ES256', jwk: { kty: 'EC' } }, claims),
    'no object for a key': raw({ alg: 'ES256', jwk: 'x', kid }, claims),
    'an extension that must be understood': raw({ alg: 'ES256', kid, crit: ['x'], x: 1 }, claims),
    'an unencoded payload': raw({ alg: 'ES256', kid, crit: ['b64'], b64: false }, claims),
    'a payload that is no JSON': raw({ alg: 'ES256', kid }, 'x'),
    'a payload that is no object': raw({ alg: 'ES256', kid }, '[]'),
    'two parts': `${header}.${payload}`,
    'four parts': `${header}.${payload}.${signature}.x`,
    'five parts': `${header}.${payload}.${signature}.x.y`,
    'characters outside of the alphabet': `${header}.${payload}.${signature.slice(0, -4)}****`,
    'characters outside of ASCII': `${header}.${payload}.\u00e9`,
    dots: '..',
    garbage: 'garbage',
    'something huge': 'x'.repeat(1_000_000),
    'a header deep as the sea': `${base64url.encode(`${'['.repeat(20_000)}`)}.${payload}.${signature}`
  }
  const wrong: Record<string, string> = {
    'an empty signature': `${header}.${payload}.`,
    'a truncated signature': `${header}.${payload}.${signature.slice(0, -2)}`,
    'another payload': `${header}.${base64url.encode(JSON.stringify({ ...claims, sub: 'root' }))}.${signature}`,
    'another signature': await signToken(stranger, { kid }, claims),
    'a huge signature': `${header}.${payload}.${'A'.repeat(60_000)}`,
    'a signature of zeros': `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
    'its own key under the name of a good one': await signToken(stranger, { jwk: await publicJwk(stranger, { kid }) }, claims)
  }
  for (const [name, token] of Object.entries(refused)) t.equal(await decide(`Bearer ${token}`, SCOPE), invalid, name)
  for (const [name, token] of Object.entries(wrong)) t.equal(await decide(`Bearer ${token}`, SCOPE), forged, name)
})

t.test('the key may be named by a chain of certificates, by itself or by its name', async t => {
  const claims = { ...DATES, ...good }
  const chained = { iss: ISSUER, aud: SERVICE, sub: 'ann', ...claims }
  clock.now = Date.now()
  const seconds = Math.floor(clock.now / 1000)
  const current = { ...claims, exp: seconds + 300, nbf: seconds, iat: seconds }
  for (const header of [{ x5c: [leaf.der, root.der] }, { x5c: [leaf.der], kid: 'whatever' }, { jwk: { ...await publicJwk(leaf.key), x5c: [leaf.der] } as JWK }]) {
    t.equal(await decide(`Bearer ${await signToken(leaf.key, header, current)}`, SCOPE), 'ann')
    t.match(await decide(`Bearer ${await signToken(stranger, header, current)}`, SCOPE), forged, 'signed by another than the certificate\'s')
  }
  t.equal(await decide(`Bearer ${await signToken(stranger, { x5c: [certificate(directory, 'self', stranger).der] }, current)}`, SCOPE), invalid)
  t.equal(await decide(`Bearer ${await signToken(key, { x5c: [certificate(directory, 'self', stranger).der], kid }, current)}`, SCOPE), invalid, 'the chain counts, not the name')
  clock.now = NOW
  for (const header of [{ jwk: await publicJwk(key) }, { jwk: await publicJwk(key, { kid }) }, { jwk: { ...await publicJwk(key), kid: 'other' } }, { kid: (await keyIds(key.publicKey))[1] ?? '' }]) {
    t.equal(await decide(`Bearer ${await signToken(key, header, claims)}`, SCOPE), 'ann')
  }
  t.equal(await decide(`Bearer ${raw({ alg: 'ES256', x5c: [leaf.der] }, chained, leaf.key.privateKey)}`, SCOPE), invalid, 'before the certificate is valid')
})

t.test('every kind of signature is verified, and signingalgorithms restricts them', async t => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pairs = [...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map(alg => [alg, rsa] as const), ['ES256', key] as const, ['ES384', ecKey('P-384')] as const, ['ES512', ecKey('P-521')] as const, ['EdDSA', generateKeyPairSync('ed25519')] as const]
  const keys = await trust(...pairs.map(([, pair]) => pair))
  const options = { keys, issuers: [ISSUER], audiences: [SERVICE], now: () => NOW }
  const [all, one] = [new TokenVerifier(options), new TokenVerifier({ ...options, algorithms: ['RS256', 'HS256'] })]
  for (const [alg, pair] of pairs) {
    const token = await signToken(pair, { alg, kid: await thumbprint(pair.publicKey) }, { ...DATES, sub: alg })
    t.equal((await all.verify(token)).user, alg)
    if (alg === 'RS256') t.equal((await one.verify(token)).user, alg)
    else await t.rejects(one.verify(token), { name: 'TokenRefused' }, alg)
  }
  const hmac = await new SignJWT({ ...DATES, iss: ISSUER, aud: SERVICE }).setProtectedHeader({ alg: 'HS256', kid: await thumbprint(rsa.publicKey) }).sign(Buffer.from(rsa.publicKey.export({ type: 'spki', format: 'pem' })))
  await t.rejects(one.verify(hmac), { name: 'TokenRefused' })
})

t.test('a good token costs one signature', async t => {
  const counted = new TokenVerifier({ keys: await trust(key), issuers: [ISSUER], audiences: [SERVICE], now: () => NOW })
  const own = new TokenController({ verifier: counted, realm: () => REALM, service: SERVICE })
  const token = `Bearer ${await sign256(good)}`
  t.type(own.authorize(request(token), records(SCOPE)), Promise)
  await own.authorize(request(token), records(SCOPE))
  const before = counted.state['verified']
  for (let i = 0; i < 100; i++) t.same(own.authorize(request(token), records(SCOPE)), { user: 'ann', groups: [] })
  t.match(counted.state, { verified: before, cached: 100, refused: 0, remembered: 1 })
  counted.forget()
  t.type(own.authorize(request(token), records(SCOPE)), Promise)
})

t.test('a token that was being verified while the keys changed is not remembered', async t => {
  const own = new TokenVerifier({ keys: await trust(key), issuers: [ISSUER], audiences: [SERVICE], now: () => NOW })
  const token = await sign256(good)
  const verifying = own.verify(token)
  own.forget()
  await verifying
  t.equal(own.known(token), undefined)
})
