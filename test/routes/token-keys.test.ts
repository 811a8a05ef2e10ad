import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LightMyRequestResponse } from 'fastify'
import { decodeJwt, decodeProtectedHeader, exportJWK } from 'jose'
import t from 'tap'
import { basic, htpasswd } from '../helpers/auth.js'
import { errorCodes } from '../helpers/build.js'
import { shortDirectory } from '../helpers/clients.js'
import { PUBLIC, SERVICE, USERS, ann, get, granted, post, served, tokenFor } from '../helpers/token-server.js'
import type { Answer, Served, TokenServer } from '../helpers/token-server.js'
import { ecKey, movedClock, signToken, thumbprint } from '../helpers/tokens.js'

t.test('a key that is configured is made where it is missing, and outlives the server', async t => {
  const directory = await shortDirectory(t, 'keys')
  const file = join(directory, 'key.pem')
  const { app } = await served(t, { privatekey: file })
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(readFileSync(file, 'utf8'), /^-----BEGIN PRIVATE KEY-----/)
  const token = await tokenFor(app, PUBLIC)
  const status = async ({ app }: Served, bearer = token): Promise<number> => (await app.inject({ url: '/v2/', headers: { authorization: `Bearer ${bearer}` } })).statusCode
  t.equal(await status(await served(t, { privatekey: file })), 200, 'after a restart')
  t.equal(await status(await served(t)), 401, 'with a key of its own')
  const next = join(directory, 'next.json')
  const pair = ecKey('P-384')
  writeFileSync(next, JSON.stringify(await exportJWK(pair.privateKey)))
  const rotated = await served(t, { privatekey: next, publickeys: [file] })
  t.equal(await status(rotated), 200, 'a key before it is still good')
  const fresh = await tokenFor(rotated.app, PUBLIC)
  t.match(decodeProtectedHeader(fresh), { alg: 'ES384', kid: await thumbprint(pair.publicKey) })
  t.equal(await status(rotated, fresh), 200)
  t.equal(await status(await served(t, { privatekey: next })), 401, 'and is not when it is taken out')
})

t.test('what is wrong with the configuration is said in a line that names the key', async t => {
  const directory = await shortDirectory(t, 'keys')
  writeFileSync(join(directory, 'text'), 'x')
  const cases: Array<[Partial<TokenServer>, RegExp]> = [
    [{ expiration: '59s' }, /^auth\.htpasswd\.tokenserver\.expiration: at least 60s are needed, not "59s"$/],
    [{ refreshtokens: { enabled: true } }, /^auth\.htpasswd\.tokenserver\.privatekey: is missing/],
    [{ privatekey: join(directory, 'text') }, /^auth\.htpasswd\.tokenserver\.privatekey: /],
    [{ privatekey: join(directory, 'absent', 'key') }, /^auth\.htpasswd\.tokenserver\.privatekey: ENOENT/],
    [{ publickeys: [join(directory, 'text')] }, /^auth\.htpasswd\.tokenserver\.publickeys\[0\]: there is no key in it/],
    [{ publickeys: [join(directory, 'absent')] }, /^auth\.htpasswd\.tokenserver\.publickeys\[0\]: ENOENT/],
    [{ path: '/v2/token' }, /^auth\.htpasswd\.tokenserver\.path: /],
    [{ path: 'token' }, /^auth\.htpasswd\.tokenserver\.path: /],
    [{ path: '/:name' }, /^auth\.htpasswd\.tokenserver\.path: /],
    [{ realm: '/auth/token' }, /^auth\.htpasswd\.tokenserver\.realm: /]
  ]
  for (const [tokenserver, line] of cases) await t.rejects(served(t, tokenserver), { name: 'ConfigError', message: line }, JSON.stringify(tokenserver))
  t.notOk(existsSync(join(directory, 'absent')))
})

t.test('tokens expire, and are good until then', async t => {
  const clock = movedClock(t)
  const { app } = await served(t, { expiration: '2m' })
  const token = await tokenFor(app, PUBLIC)
  const status = async (): Promise<number> => (await app.inject({ url: '/v2/', headers: { authorization: `Bearer ${token}` } })).statusCode
  t.equal(await status(), 200)
  clock.advance(178_000)
  t.equal(await status(), 200)
  clock.advance(3000)
  t.equal(await status(), 401)
})

t.test('refresh tokens: only where they are switched on, for users who ask, and gone with the password', async t => {
  const clock = movedClock(t)
  const privatekey = join(await shortDirectory(t, 'keys'), 'key.pem')
  const { app, users } = await served(t, { privatekey, refreshtokens: { enabled: true, expiration: '24h' } })
  const refreshToken = async (query: string, authorization?: string): Promise<string | undefined> => (await get(app, query, authorization)).json<Answer>().refresh_token
  t.equal(await refreshToken('', ann), undefined)
  t.equal(await refreshToken('offline_token=true'), undefined, 'not for strangers')
  const token = await refreshToken('offline_token=true', ann) ?? ''
  t.type((await post(app, { grant_type: 'password', username: 'ann', password: USERS.ann, access_type: 'offline' })).json<Answer>().refresh_token, 'string')
  const refresh = async (value = token, of = app): Promise<LightMyRequestResponse> => await post(of, { grant_type: 'refresh_token', refresh_token: value, service: SERVICE, scope: 'repository:team/app:pull' })
  const renewed = await refresh()
  t.same(granted(renewed), ['repository:team/app:pull'])
  t.match(decodeJwt(renewed.json<Answer>().token), { sub: 'ann', groups: ['devs'] })
  t.notOk('refresh_token' in renewed.json<object>())
  t.equal((await app.inject({ url: '/v2/', headers: { authorization: `Bearer ${token}` } })).statusCode, 401, 'a refresh token opens nothing itself')
  t.equal((await refresh(renewed.json<Answer>().token)).statusCode, 401, 'and a token refreshes nothing')
  t.equal((await refresh('garbage')).statusCode, 401)
  t.equal((await refresh(await signToken(ecKey(), { kid: 'x' }))).statusCode, 401)
  const restarted = await served(t, { privatekey, refreshtokens: { enabled: true } }, { users })
  t.equal((await refresh(token, restarted.app)).statusCode, 200, 'after a restart')
  const other = htpasswd({ ann: 'new password' })
  clock.advance(5000)
  writeFileSync(users, `${other}${readFileSync(users, 'utf8').split('\n').find(line => line.startsWith('bob')) ?? ''}\n`)
  clock.advance(5000)
  const changed = await refresh()
  t.same(errorCodes(t, changed, 401), ['UNAUTHORIZED'])
  const again = await refreshToken('offline_token=true', basic('ann', 'new password')) ?? ''
  t.equal((await refresh(again)).statusCode, 200)
  clock.advance(86_400_000 + 61_000)
  t.equal((await refresh(again)).statusCode, 401, 'it expires')
})
