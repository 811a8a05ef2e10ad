import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance } from 'fastify'
import { base64url } from 'jose'
import type { JWK } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import { Pool } from 'undici'
import type { RegistryOptions } from '../../registry.js'
import { startRegistry } from '../../testing.js'
import { ConfigError } from '../../services/errors/config-error.js'
import { build, errorCodes } from '../helpers/build.js'
import { CA, ISSUER, SERVICE, access, certificate, ecKey, libtrustKid, movedClock, publicJwk, signToken, thumbprint } from '../helpers/tokens.js'
import type { Claims, KeyPair } from '../helpers/tokens.js'

type TokenInput = NonNullable<NonNullable<RegistryOptions['auth']>['token']>

const REALM = 'https://auth.example/token'
const TOKEN = { realm: REALM, service: SERVICE, issuer: ISSUER }
const storage = { inmemory: {}, delete: { enabled: true } }

async function withTokens (t: Test, token: Partial<TokenInput>, options: RegistryOptions & { prefix?: string } = {}): Promise<FastifyInstance> {
  return await build(t, { storage, auth: { token: { ...TOKEN, ...token } }, ...options })
}

const setOf = (...keys: JWK[]): string => JSON.stringify({ keys })
const named = async (kid: string): Promise<{ key: KeyPair, jwk: JWK, token: (claims?: Claims) => Promise<string> }> => {
  const key = ecKey()
  return { key, jwk: await publicJwk(key, { kid }), token: async claims => `Bearer ${await signToken(key, { kid }, claims)}` }
}

async function status (app: FastifyInstance, authorization: string, url = '/v2/'): Promise<number> {
  return (await app.inject({ url, headers: { authorization } })).statusCode
}

t.test('a registry with tokens: nothing without one, everything its scope allows with one', async t => {
  const { jwk, token } = await named('k')
  const app = await withTokens(t, { jwks: join(t.testdir({ keys: setOf(jwk) }), 'keys') })
  const base = await app.inject('/v2/')
  t.same(errorCodes(t, base, 401), ['UNAUTHORIZED'])
  t.equal(base.body, '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}')
  t.equal(base.headers['www-authenticate'], `Bearer realm="${REALM}",service="${SERVICE}"`)
  t.equal(await status(app, await token()), 200)
  const mount = await app.inject({ method: 'POST', url: '/v2/a/b/blobs/uploads/?mount=sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b&from=c/d' })
  t.equal(mount.headers['www-authenticate'], `Bearer realm="${REALM}",service="${SERVICE}",scope="repository:a/b:pull,push repository:c/d:pull"`)
  const authorization = await token(access('repository:a/b:pull,push'))
  t.equal((await app.inject({ method: 'POST', url: '/v2/a/b/blobs/uploads/', headers: { authorization } })).statusCode, 202)
  t.equal(await status(app, authorization, '/v2/a/b/tags/list'), 404)
  t.equal(await status(app, authorization, '/v2/c/d/tags/list'), 401)
  t.equal(await status(app, authorization, '/v2/_catalog'), 401)
  t.equal(await status(app, await token(access('registry:catalog:*')), '/v2/_catalog'), 200)
})

t.test('a token is for the decoded name and no other', async t => {
  const { jwk, token } = await named('k')
  const app = await withTokens(t, { jwks: join(t.testdir({ keys: setOf(jwk) }), 'keys') })
  const [a, ab] = [await token(access('repository:a:pull,push,delete')), await token(access('repository:a/b:pull'))]
  for (const name of ['a%2Fb', 'a%2fb', 'a/b', '%61/b', 'a%2F%62']) {
    const response = await app.inject({ url: `/v2/${name}/tags/list`, headers: { authorization: a } })
    t.equal(response.statusCode, 401, name)
    t.equal(response.headers['www-authenticate'], `Bearer realm="${REALM}",service="${SERVICE}",scope="repository:a/b:pull",error="insufficient_scope"`)
    t.equal(await status(app, ab, `/v2/${name}/tags/list`), 404, 'the repository is not there, but might be seen')
  }
  t.equal(await status(app, a, '/v2/a/tags/list'), 404)
})

t.test('a key set in a file is read again when it changes, and a removed key is soon none any more', async t => {
  const [one, two] = [await named('one'), await named('two')]
  const path = join(t.testdir({ keys: setOf(one.jwk) }), 'keys')
  const clock = movedClock(t)
  const app = await withTokens(t, { jwks: path })
  const [first, second] = [await one.token(), await two.token()]
  t.equal(await status(app, first), 200)
  t.equal(await status(app, second), 401)
  writeFileSync(path, setOf(one.jwk, two.jwk))
  clock.advance(1000)
  t.equal(await status(app, second), 200, 'an unknown key is looked for')
  writeFileSync(path, setOf(two.jwk))
  clock.advance(1000)
  await status(app, await (await named('third')).token())
  t.equal(await status(app, first), 401, 'also a token that was verified before')
  t.equal(await status(app, second), 200)
  writeFileSync(path, 'half a key se')
  clock.advance(2000)
  await status(app, await (await named('fourth')).token())
  t.equal(await status(app, second), 200, 'what cannot be read takes nothing away')
})

/** A real server of keys, whose answer the test sets. */
async function keyServer (t: Test): Promise<{ url: string, answer: { status: number, body: string }, requests: () => number, stop: () => void }> {
  const answer = { status: 200, body: setOf() }
  let requests = 0
  const server = createServer((_request, response) => {
    requests++
    response.writeHead(answer.status).end(answer.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = (): void => { server.closeAllConnections(); server.close() }
  t.teardown(stop)
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}/keys`, answer, requests: () => requests, stop }
}

t.test('a key set behind a URL: rotation, and nothing lost when its server is down', async t => {
  const [one, two] = [await named('one'), await named('two')]
  const server = await keyServer(t)
  server.answer.status = 503
  const app = await withTokens(t, { jwksurl: server.url, jwkscooldown: '0s' })
  t.equal(await status(app, await one.token()), 401, 'the registry has started all the same')
  server.answer.status = 200
  server.answer.body = setOf(one.jwk)
  t.equal(await status(app, await one.token()), 200)
  server.answer.body = setOf(two.jwk, one.jwk)
  t.equal(await status(app, await two.token()), 200)
  for (const [status, body] of [[500, ''], [200, 'garbage'], [200, setOf()], [200, `{"keys":[${'"x",'.repeat(400_000)}"x"]}`]] as const) {
    Object.assign(server.answer, { status, body })
    t.equal((await app.inject({ url: '/v2/', headers: { authorization: await (await named('three')).token() } })).statusCode, 401)
    for (const key of [one, two]) t.equal((await app.inject({ url: '/v2/', headers: { authorization: await key.token() } })).statusCode, 200)
  }
  server.stop()
  t.equal(await status(app, await (await named('three')).token()), 401)
  for (const key of [one, two]) t.equal(await status(app, await key.token()), 200)
})

t.test('tokens of unknown keys do not let the server of keys be called over and over', async t => {
  const { jwk, token } = await named('one')
  const server = await keyServer(t)
  server.answer.body = setOf(jwk)
  const app = await withTokens(t, { jwksurl: server.url })
  t.equal(await status(app, await token()), 200)
  const statuses = await Promise.all(Array.from({ length: 200 }, async (_, i) => await status(app, await (await named(`unknown-${i}`)).token())))
  t.same([...new Set(statuses)], [401])
  t.equal(server.requests(), 1)
})

t.test('10,000 random tokens: no access, no 5xx, no memory kept', async t => {
  const { jwk, key } = await named('k')
  const directory = t.testdir({ keys: setOf(jwk) })
  const root = certificate(directory, 'root', ecKey(), { extensions: CA })
  await using registry = await startRegistry({ auth: { token: { ...TOKEN, jwks: join(directory, 'keys'), rootcertbundle: root.files.certificate } } })
  const pool = new Pool(registry.url, { connections: 4 })
  const [header = '', payload = '', signature = ''] = (await signToken(key, { kid: 'k' }, access('repository:a:*', 'registry:catalog:*'))).split('.')
  const garble = (text: string): string => {
    const at = Math.floor(Math.random() * text.length)
    return `${text.slice(0, at)}${base64url.encode(randomBytes(3)).slice(0, 2)}${text.slice(at + 1)}`
  }
  const makers = [
    () => randomBytes(1 + Math.floor(Math.random() * 200)).toString('base64url'),
    () => [20, 60, 64].map(bytes => randomBytes(bytes).toString('base64url')).join('.'),
    () => `${garble(header)}.${payload}.${signature}`,
    () => `${header}.${garble(payload)}.${signature}`,
    () => `${header}.${payload}.${garble(signature)}`,
    () => `${base64url.encode(JSON.stringify({ alg: 'ES256', kid: randomBytes(8).toString('hex') }))}.${payload}.${signature}`,
    () => `${base64url.encode(JSON.stringify({ alg: 'ES256', x5c: [randomBytes(300).toString('base64')] }))}.${payload}.${signature}`,
    () => `${base64url.encode(JSON.stringify({ alg: 'HS256', kid: 'k' }))}.${payload}.${signature}`
  ]
  const urls = ['/v2/', '/v2/a/tags/list', '/v2/_catalog', '/v2/a/manifests/1']
  const statuses = new Map<number, number>()
  const send = async (i: number): Promise<void> => {
    const authorization = `Bearer ${makers[i % makers.length]?.() ?? ''}`
    const { statusCode, body } = await pool.request({ method: 'GET', path: urls[i % urls.length] ?? '', headers: { authorization } })
    await body.dump()
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  }
  await send(0)
  statuses.clear()
  const before = heapInUse()
  const began = performance.now()
  for (let i = 0; i < 10_000; i += 8) await Promise.all(makers.map(async (_, k) => { await send(i + k) }))
  await pool.close()
  t.same([...statuses], [[401, 10_000]])
  t.ok(performance.now() - began < 60_000, 'within a minute, on a busy machine too')
  const kept = heapInUse() - before
  t.ok(kept < 16 * 1024 * 1024, `${kept} bytes`)
})

/** What is left after a collection of garbage. */
function heapInUse (): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

t.test('autoredirect: the token server is on the host that was called', async t => {
  const { jwk } = await named('k')
  const jwks = join(t.testdir({ keys: setOf(jwk) }), 'keys')
  const app = await withTokens(t, { jwks, autoredirect: true })
  const realm = async (headers: Record<string, string>, of = app): Promise<string | undefined> => /realm="([^"]*)"/.exec(String((await of.inject({ url: '/v2/', headers })).headers['www-authenticate']))?.[1]
  t.equal(await realm({ host: 'registry.example:5000' }), 'https://registry.example:5000/auth/token')
  t.equal(await realm({ host: 'registry.example', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'other' }), 'http://registry.example/auth/token')
  t.equal(await realm({ host: '[::1]:5000' }), 'https://[::1]:5000/auth/token')
  t.equal(await realm({ host: 'registry.example', 'x-forwarded-proto': 'javascript' }), 'https://registry.example/auth/token')
  t.equal(await realm({ host: 'a",error="x' }), REALM, 'nothing gets into the challenge that is no host')
  t.equal(await realm({ host: 'registry.example' }, await withTokens(t, { jwks, autoredirect: true, autoredirectpath: '/get/one' })), 'https://registry.example/get/one')
})

t.test('keys of rootcertbundle are called by either name', async t => {
  const key = ecKey()
  const { files } = certificate(t.testdir({}), 'signer', key)
  const app = await withTokens(t, { rootcertbundle: files.certificate })
  for (const kid of [await thumbprint(key.publicKey), libtrustKid(key.publicKey)]) t.equal(await status(app, `Bearer ${await signToken(key, { kid })}`), 200)
})

t.test('a pull verifies its token once, and operators can see that', async t => {
  const { jwk, token } = await named('k')
  let read: () => Record<string, unknown> = () => ({})
  const app = await withTokens(t, { jwks: join(t.testdir({ keys: setOf(jwk) }), 'keys') }, { onReady: ({ debug }) => { read = () => debug.read() } })
  const authorization = await token(access('repository:a:pull'))
  for (let i = 0; i < 10; i++) await status(app, authorization, '/v2/a/tags/list')
  t.match(read(), { token: { verified: 1, cached: 9 } })
})

t.test('what is wrong with the configuration is said in a line that names the key', async t => {
  const { jwk } = await named('k')
  const directory = t.testdir({ keys: setOf(jwk), empty: setOf(), text: 'x', pem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' })
  const file = (name: string): string => join(directory, name)
  const cases: Array<[Record<string, unknown>, RegExp]> = [
    [{}, /^auth\.token: one of rootcertbundle, jwks and jwksurl is needed$/],
    [{ jwks: file('absent') }, /^auth\.token\.jwks: ENOENT/],
    [{ jwks: file('empty') }, /^auth\.token\.jwks: none of its keys can verify tokens$/],
    [{ jwks: file('text') }, /^auth\.token\.jwks: /],
    [{ rootcertbundle: file('absent') }, /^auth\.token\.rootcertbundle: ENOENT/],
    [{ rootcertbundle: file('text') }, /^auth\.token\.rootcertbundle: there is no certificate in /],
    [{ rootcertbundle: file('pem') }, /^auth\.token\.rootcertbundle: /],
    [{ jwksurl: 'ftp://x' }, /^auth\.token\.jwksurl: /],
    [{ jwks: file('keys'), signingalgorithms: ['ES256', 'ES257'] }, /^auth\.token\.signingalgorithms\[1\]: one of EdDSA, HS256, .* is needed, not "ES257"$/],
    [{ jwks: file('keys'), signingalgorithms: ['HS256'] }, /^auth\.token\.signingalgorithms: HS256/],
    [{ jwks: file('keys'), realm: '' }, /^auth\.token\.realm: /],
    [{ jwks: file('keys'), issuer: undefined }, /^auth\.token\.issuer: is missing$/]
  ]
  for (const [change, line] of cases) {
    const token = Object.fromEntries(Object.entries({ ...TOKEN, ...change }).filter(([, value]) => value !== undefined)) as unknown as TokenInput
    const error = await build(t, { storage, auth: { token } }).then(() => undefined, (error: unknown) => error)
    t.ok(error instanceof ConfigError, JSON.stringify(change))
    t.match((error as Error).message, line)
    t.notMatch((error as Error).message, /\n/)
  }
  await withTokens(t, { jwks: file('keys'), signingalgorithms: ['HS256', 'ES256'] })
})

t.test('the challenge under a prefix', async t => {
  const { jwk, token } = await named('k')
  const app = await withTokens(t, { jwks: join(t.testdir({ keys: setOf(jwk) }), 'keys') }, { prefix: '/containers' })
  t.equal((await app.inject('/containers/v2/')).headers['www-authenticate'], `Bearer realm="${REALM}",service="${SERVICE}"`)
  t.equal(await status(app, await token(), '/containers/v2/'), 200)
})
