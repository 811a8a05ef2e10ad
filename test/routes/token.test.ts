import { join } from 'node:path'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { JWTPayload } from 'jose'
import t from 'tap'
import { pino } from 'pino'
import { buildServer } from '../../server.js'
import { basic, htpasswdFile } from '../helpers/auth.js'
import { errorCodes } from '../helpers/build.js'
import { shortDirectory } from '../helpers/clients.js'
import { PUBLIC, SERVICE, USERS, ann, bob, get, granted, post, served, tokenFor } from '../helpers/token-server.js'
import type { Answer } from '../helpers/token-server.js'

t.test('a user gets a token in the shape that docker and OAuth 2 expect (R-244)', async t => {
  const { app } = await served(t)
  const response = await get(app, `service=${SERVICE}&scope=repository:team/app:pull,push&account=ann&client_id=docker`, ann)
  t.equal(response.statusCode, 200)
  t.match(response.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  const body = response.json<Answer>()
  t.match(body, { access_token: body.token, expires_in: 300, scope: 'repository:team/app:pull,push', issued_at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/ })
  t.notOk('refresh_token' in body)
  t.match(decodeProtectedHeader(body.token), { typ: 'JWT', alg: 'ES256', kid: /^[\w-]{43}$/ })
  const claims: JWTPayload = decodeJwt(body.token)
  t.match(claims, { iss: 'oci-registry', sub: 'ann', aud: SERVICE, groups: ['devs'], access: [{ type: 'repository', name: 'team/app', actions: ['pull', 'push'] }] })
  t.equal(Number(claims.exp) - Number(claims.iat), 300)
  t.equal(claims.nbf, claims.iat)
})

const GRANTS: Array<[string | undefined, string, string[]]> = [
  [undefined, '', []],
  [undefined, `scope=${PUBLIC}`, [PUBLIC]],
  [undefined, 'scope=repository:public/a:pull,push', [PUBLIC]],
  [undefined, 'scope=repository:team/app:pull', []],
  [undefined, 'scope=registry:catalog:*', ['registry:catalog:*']],
  [basic('', ''), `scope=${PUBLIC}`, [PUBLIC]],
  [ann, 'scope=repository:team/app:push,pull', ['repository:team/app:pull,push']],
  [ann, 'scope=repository:team/app:push,pull,delete', ['repository:team/app:pull,push']],
  [ann, 'scope=repository:team/app:*', ['repository:team/app:pull,push']],
  [bob, 'scope=repository:team/app:*', ['repository:team/app:pull,push,delete,*']],
  [bob, 'scope=repository:team/app:delete', ['repository:team/app:delete']],
  [ann, 'scope=repository:team/a:pull&scope=repository:team/b:pull%20repository:public/c:pull,push', ['repository:team/a:pull', 'repository:team/b:pull', 'repository:public/c:pull']],
  [ann, 'scope=repository:team/a:pull+repository:team/a:push&scope=repository:team/a:pull', ['repository:team/a:pull,push']],
  [ann, 'scope=repository(plugin):team/a:pull', ['repository(plugin):team/a:pull']],
  [bob, 'scope=repository:host:5000/a:pull', []],
  [bob, 'scope=repository:..%2Fa:pull&scope=repository:A:pull&scope=repository::pull&scope=other:a:pull&scope=repository:a:fly&scope=x&scope=:&scope=::&scope=repository:a:', []],
  [bob, 'scope=registry:other:*&scope=registry:catalog:pull', []],
  [bob, 'scope=__proto__:a:pull&scope=repository:constructor:pull', ['repository:constructor:pull']]
]

for (const [who, query, scopes] of GRANTS) {
  t.test(`${who === undefined ? 'a stranger' : who === ann ? 'ann' : who === bob ? 'bob' : 'nobody'} asks for ${query} and gets ${scopes.join(' ') || 'a token for nothing'}`, async t => {
    const { app } = await served(t)
    const response = await get(app, query, who)
    t.equal(response.statusCode, 200)
    t.same(granted(response), scopes)
    t.equal(response.json<Answer>().scope, scopes.join(' '))
  })
}

t.test('without a policy users may do everything and strangers nothing', async t => {
  const { app } = await served(t, {}, { access: null })
  t.same(granted(await get(app, 'scope=repository:a:pull,push,delete&scope=registry:catalog:*', ann)), ['repository:a:pull,push,delete', 'registry:catalog:*'])
  t.same(granted(await get(app, 'scope=repository:a:pull&scope=registry:catalog:*')), [])
})

t.test('wrong credentials are a 401 that says so, for a form without a challenge', async t => {
  const { app } = await served(t)
  const message = 'the user or the password is wrong'
  for (const authorization of [basic('ann', 'wrong'), basic('nobody', 'x'), basic('ann', ''), basic('', 'x')]) {
    const response = await get(app, `scope=${PUBLIC}`, authorization)
    t.same(errorCodes(t, response, 401), ['UNAUTHORIZED'])
    t.equal(response.headers['www-authenticate'], 'Basic realm="Test"')
    t.equal(response.body, `{"errors":[{"code":"UNAUTHORIZED","message":"${message}"}]}`)
  }
  for (const authorization of ['Bearer x', 'Basic', 'Basic ???', '']) t.same(errorCodes(t, await get(app, '', authorization), 401), ['UNAUTHORIZED'])
  const response = await post(app, { grant_type: 'password', username: 'ann', password: 'wrong' })
  t.same(errorCodes(t, response, 401), ['UNAUTHORIZED'])
  t.equal(response.headers['www-authenticate'], undefined)
  t.match(response.body, message)
})

t.test('a form does what the query does', async t => {
  const { app } = await served(t)
  const form = { grant_type: 'password', username: 'ann', password: USERS.ann, service: SERVICE, client_id: 'containerd-client', scope: 'repository:team/app:pull,push repository:x:pull' }
  for (const type of ['application/x-www-form-urlencoded', 'application/x-www-form-urlencoded; charset=utf-8']) {
    const response = await post(app, new URLSearchParams(form).toString(), type)
    t.equal(response.statusCode, 200)
    t.same(granted(response), ['repository:team/app:pull,push'])
    t.match(response.json(), { token_type: 'Bearer', expires_in: 300, scope: 'repository:team/app:pull,push' })
  }
})

t.test('requests that make no sense are 4xx that say why', async t => {
  const { app } = await served(t)
  const password = { grant_type: 'password', username: 'ann', password: USERS.ann }
  const bad: Array<[LightMyRequestResponse, number, RegExp]> = [
    [await post(app, {}), 400, /grant_type is missing/],
    [await post(app, ''), 400, /grant_type is missing/],
    [await post(app, { grant_type: 'client_credentials' }), 400, /grant_type must be password or refresh_token/],
    [await post(app, { grant_type: 'password', username: 'ann' }), 400, /password is missing/],
    [await post(app, { grant_type: 'refresh_token' }), 400, /refresh_token is missing/],
    [await post(app, { grant_type: 'refresh_token', refresh_token: 'x' }), 400, /refresh tokens are switched off/],
    [await post(app, { ...password, service: 'other' }), 400, /token server of/],
    [await get(app, 'service=other', ann), 400, /token server of/],
    [await get(app, Array.from({ length: 257 }, (_, i) => `scope=repository:r${i}:pull`).join('&'), ann), 400, /at most 256 scopes/],
    [await post(app, '{"grant_type":"password"}', 'application/json'), 415, /UNSUPPORTED/],
    [await post(app, `grant_type=password&x=${'x'.repeat(70_000)}`), 413, /SIZE_INVALID/]
  ]
  for (const [response, status, text] of bad) {
    t.equal(response.statusCode, status, response.body)
    t.match(response.body, text)
    t.match(response.json(), { errors: [{ code: String }] })
  }
})

t.test('the ping sends everybody to the token server, and its tokens open the registry', async t => {
  const { app } = await served(t)
  const ping = await app.inject({ url: '/v2/', headers: { host: 'registry.example:5000' } })
  t.same(errorCodes(t, ping, 401), ['UNAUTHORIZED'])
  t.equal(ping.headers['www-authenticate'], 'Bearer realm="http://registry.example:5000/auth/token",service="oci-registry"')
  const status = async (url: string, token: string): Promise<number> => (await app.inject({ url, headers: { authorization: `Bearer ${token}` } })).statusCode
  const stranger = await tokenFor(app, 'repository:public/a:pull')
  t.equal(await status('/v2/', stranger), 200)
  t.equal(await status('/v2/public/a/tags/list', stranger), 404)
  t.equal(await status('/v2/team/app/tags/list', stranger), 401)
  const user = await tokenFor(app, 'repository:team/app:pull', ann)
  t.equal(await status('/v2/team/app/tags/list', user), 404)
  t.equal(await status('/v2/public/a/tags/list', user), 401, 'the token is not for it')
})

t.test('the realm is where the client found the registry, or what is configured', async t => {
  const realm = async (app: FastifyInstance, url: string, headers: Record<string, string>): Promise<string | undefined> => /realm="([^"]*)"/.exec(String((await app.inject({ url, headers })).headers['www-authenticate']))?.[1]
  const host = { host: 'registry.example' }
  const { app } = await served(t, {}, { prefix: '/containers' })
  t.equal(await realm(app, '/containers/v2/', host), 'http://registry.example/containers/auth/token')
  t.equal(await realm(app, '/containers/v2/', { ...host, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'outside.example' }), 'https://outside.example/containers/auth/token')
  t.equal(await realm(app, '/containers/v2/', { ...host, forwarded: 'proto=https;host=outside.example' }), 'https://outside.example/containers/auth/token')
  t.match((await app.inject({ url: '/containers/auth/token?service=oci-registry/containers' })).json(), { token: String })
  t.equal((await app.inject('/auth/token')).statusCode, 404)
  t.equal(await realm((await served(t, { path: '/token' }, { http: { host: 'https://outside.example' } })).app, '/v2/', host), 'https://outside.example/token')
  t.equal(await realm((await served(t, { realm: 'https://login.example/go' })).app, '/v2/', host), 'https://login.example/go')
})

t.test('two registries with one key do not take each other\'s tokens', async t => {
  const privatekey = join(await shortDirectory(t, 'keys'), 'key.pem')
  const { app } = await served(t, { privatekey }, { prefix: '/one' })
  const { app: other } = await served(t, { privatekey }, { prefix: '/two' })
  const { token } = (await app.inject({ url: '/one/auth/token', headers: { authorization: ann } })).json<Answer>()
  t.equal((await app.inject({ url: '/one/v2/', headers: { authorization: `Bearer ${token}` } })).statusCode, 200)
  t.equal((await other.inject({ url: '/two/v2/', headers: { authorization: `Bearer ${token}` } })).statusCode, 401)
})

t.test('user and password with a request are taken too, unless that is switched off', async t => {
  const { app } = await served(t)
  const status = async (of: FastifyInstance, url: string, authorization: string): Promise<LightMyRequestResponse> => await of.inject({ url, headers: { authorization } })
  t.equal((await status(app, '/v2/', ann)).statusCode, 200)
  t.equal((await status(app, '/v2/team/app/tags/list', ann)).statusCode, 404)
  t.equal((await status(app, '/v2/other/tags/list', ann)).statusCode, 403)
  for (const authorization of [basic('ann', 'wrong'), basic('', '')]) {
    const refused = await status(app, '/v2/team/app/tags/list', authorization)
    t.equal(refused.statusCode, 401)
    t.match(refused.headers['www-authenticate'], /^Bearer realm="[^"]*",service="oci-registry",scope="repository:team\/app:pull"$/)
  }
  t.equal((await status((await served(t, { basic: false })).app, '/v2/', ann)).statusCode, 401)
})

t.test('the catalog shows what the bearer may pull', async t => {
  const { app } = await served(t)
  const owner = await tokenFor(app, 'repository:public/a:pull,push repository:team/b:pull,push repository:other/c:pull,push', bob)
  for (const name of ['public/a', 'team/b', 'other/c']) {
    const payload = JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] })
    const put = await app.inject({ method: 'PUT', url: `/v2/${name}/manifests/1`, payload, headers: { authorization: `Bearer ${owner}`, 'content-type': 'application/vnd.oci.image.index.v1+json' } })
    t.equal(put.statusCode, 201, put.body)
  }
  const listed = async (authorization?: string): Promise<string[]> => {
    const token = await tokenFor(app, 'registry:catalog:*', authorization)
    return (await app.inject({ url: '/v2/_catalog', headers: { authorization: `Bearer ${token}` } })).json<{ repositories: string[] }>().repositories
  }
  t.same(await listed(), ['public/a'])
  t.same(await listed(ann), ['public/a', 'team/b'])
  t.same(await listed(bob), ['other/c', 'public/a', 'team/b'])
})

t.test('guesses are slowed here too, and are in the audit', async t => {
  const { app } = await served(t, {}, { throttle: { free: 1, delay: '1h', maxdelay: '1h' } })
  t.equal((await get(app, '', basic('ann', 'wrong'))).statusCode, 401)
  for (const response of [await get(app, '', basic('ann', 'wrong')), await get(app, '', ann), await post(app, { grant_type: 'password', username: 'ann', password: USERS.ann })]) {
    t.same(errorCodes(t, response, 429), ['TOOMANYREQUESTS'])
    t.ok(Number(response.headers['retry-after']) > 0)
  }
  t.equal((await get(app, `scope=${PUBLIC}`)).statusCode, 200, 'strangers are not in the way')
  t.equal((await get(app, '', bob)).statusCode, 200, 'nor are others')
})

t.test('a refused login is an audit line, with neither password nor token in the log', async t => {
  const path = await htpasswdFile(t, USERS)
  const lines: string[] = []
  const app = buildServer({ storage: { inmemory: {} }, auth: { htpasswd: { realm: 'Test', path, tokenserver: {} } }, logger: pino({}, { write: line => { lines.push(line) } }) })
  t.teardown(async () => { await app.close() })
  await get(app, 'account=ann', basic('ann', 'a secret guess'))
  await post(app, { grant_type: 'password', username: 'ann', password: 'a secret guess' })
  const token = await tokenFor(app, 'repository:a:pull', ann)
  await app.inject({ url: '/v2/a/tags/list', headers: { authorization: `Bearer ${token}` } })
  await app.inject({ url: '/v2/a/tags/list', headers: { authorization: `Bearer ${token.slice(0, -3)}` } })
  const log = lines.map(line => JSON.parse(line) as { msg: string, audit?: object, 'http.request.uri'?: string, 'auth.user.name'?: string })
  t.match(log.filter(({ audit }) => audit !== undefined).map(({ audit }) => audit), [
    { action: 'login', result: 'refused', claimed: 'ann', resource: 'token', method: 'GET', status: 401, code: 'UNAUTHORIZED' },
    { action: 'login', result: 'refused', claimed: 'ann', resource: 'token', method: 'POST', status: 401 },
    { action: 'pull', result: 'refused', repository: 'a', method: 'GET', status: 401 }
  ])
  t.ok(log.some(line => line['http.request.uri']?.startsWith('/auth/token') === true && line['auth.user.name'] === 'ann'))
  t.notMatch(lines.join(''), /eyJ|secret|correct horse|[Bb]asic [A-Za-z0-9]/)
})
