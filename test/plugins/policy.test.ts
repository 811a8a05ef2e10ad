import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryOptions } from '../../registry.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { basic, htpasswdFile } from '../helpers/auth.js'
import { build, errorCodes } from '../helpers/build.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, sha256 } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'

const ANN = basic('ann', 'correct horse')
const BOB = basic('bob', 'battery staple')

const ACCESS = [
  { repositories: ['public/**'], actions: ['pull' as const], anonymous: true },
  { repositories: ['**'], actions: ['*' as const], users: ['ann'] },
  { repositories: ['bob/**'], actions: ['pull' as const, 'push' as const], users: ['bob'] }
]

interface Guarded { readonly app: FastifyInstance, readonly driver: FaultDriver, as (authorization: string | undefined, request: InjectOptions): Promise<LightMyRequestResponse> }

async function guarded (t: Test, access: typeof ACCESS | undefined = ACCESS): Promise<Guarded> {
  const driver = new FaultDriver(new MemoryDriver())
  const path = await htpasswdFile(t, { ann: 'correct horse', bob: 'battery staple' })
  const options: RegistryOptions = {
    storage: { inmemory: {}, delete: { enabled: true } },
    http: { relativeurls: true },
    auth: { htpasswd: { realm: 'Test', path, ...(access === undefined ? {} : { access }) } },
    instances: { driver }
  }
  const app = await build(t, options)
  const as: Guarded['as'] = async (authorization, request) => await app.inject({ ...request, headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) } })
  return { app, driver, as }
}

async function push (t: Test, { as }: Guarded, name: string, manifest: Manifest = image(name)): Promise<Manifest> {
  for (const { digest, bytes } of manifest.blobs) {
    t.equal((await as(ANN, { method: 'POST', url: `/v2/${name}/blobs/uploads/?digest=${digest}`, payload: bytes })).statusCode, 201)
  }
  const pushed = await as(ANN, { method: 'PUT', url: `/v2/${name}/manifests/1.0`, payload: manifest.bytes, headers: { 'content-type': manifest.mediaType } })
  t.equal(pushed.statusCode, 201, pushed.body)
  return manifest
}

/** What a caller can tell an answer by: all but the name it asked for and the date. */
async function seen ({ as, driver }: Guarded, authorization: string | undefined, method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string): Promise<object> {
  driver.calls.length = 0
  const { statusCode, headers: { date, ...headers }, body } = await as(authorization, { method, url, ...(method === 'GET' || method === 'HEAD' ? {} : { payload: 'x' }) })
  const name = /^\/v2\/(.*?)\/(?:manifests|blobs|tags|referrers|_oci)/.exec(url)?.[1] ?? ''
  // Refusals say what was asked for, once for each record; to HEAD too, as far as the length goes.
  const isRefused = statusCode === 401 || statusCode === 403
  const named = !isRefused ? 0 : name.length * (method === 'HEAD' ? 1 : body.split(name).length - 1)
  return { statusCode, headers: { ...headers, 'content-length': Number(headers['content-length']) - named }, body: body.replaceAll(name, 'NAME'), calls: driver.calls.length }
}

t.test('private and missing are the same to strangers and to those without a right, and no storage is asked (R-248)', async t => {
  const registry = await guarded(t)
  const { digest, blobs: [layer] } = await push(t, registry, 'secret/app')
  const tails = [
    '/tags/list', '/manifests/1.0', `/manifests/${digest}`, `/blobs/${layer?.digest}`, `/referrers/${digest}`, '/_oci/ext/discover',
    '/blobs/uploads/00000000-0000-4000-8000-000000000000'
  ]
  for (const authorization of [undefined, BOB]) {
    for (const tail of tails) {
      for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'POST'] as const) {
        const [there, missing, nowhere] = [
          await seen(registry, authorization, method, `/v2/secret/app${tail}`),
          await seen(registry, authorization, method, `/v2/secret/missing${tail}`),
          await seen(registry, authorization, method, `/v2/nowhere${tail}`)
        ]
        t.same(there, missing, `${method} ${tail}`)
        t.same(there, nowhere, `${method} ${tail}`)
        t.match(there, { calls: 0 }, `${method} ${tail}`)
      }
    }
  }
})

t.test('what a policy allows is done, and nothing else', async t => {
  const registry = await guarded(t)
  const { digest } = await push(t, registry, 'public/app')
  const { as } = registry
  const statusOf = async (who: string | undefined, method: 'GET' | 'POST' | 'DELETE', url: string): Promise<number> => (await as(who, { method, url })).statusCode
  t.equal(await statusOf(undefined, 'GET', '/v2/public/app/manifests/1.0'), 200)
  t.equal(await statusOf(undefined, 'POST', '/v2/public/app/blobs/uploads/'), 401)
  t.equal(await statusOf(BOB, 'POST', '/v2/public/app/blobs/uploads/'), 403)
  t.equal(await statusOf(BOB, 'POST', '/v2/bob/app/blobs/uploads/'), 202)
  t.equal(await statusOf(BOB, 'DELETE', `/v2/public/app/manifests/${digest}`), 403)
  t.equal(await statusOf(BOB, 'DELETE', `/v2/bob/app/manifests/${digest}`), 403)
  t.equal(await statusOf(ANN, 'DELETE', `/v2/public/app/manifests/${digest}`), 202)
  t.equal(await statusOf(undefined, 'GET', '/v2/public/app/manifests/missing'), 404, 'what is public may be known to be missing')
})

t.test('a right to a is none to what a%2Fb is, and the other way round', async t => {
  const registry = await guarded(t, [
    { repositories: ['a'], actions: ['*' as const], users: ['bob'] },
    { repositories: ['**'], actions: ['*' as const], users: ['ann'] }
  ])
  await push(t, registry, 'a')
  await push(t, registry, 'a/b')
  const pull = async (name: string): Promise<number> => (await registry.as(BOB, { url: `/v2/${name}/manifests/1.0` })).statusCode
  t.same([await pull('a'), await pull('%61')], [200, 200])
  t.same([await pull('a/b'), await pull('a%2Fb'), await pull('a%2fb'), await pull('%61%2F%62')], [403, 403, 403, 403])
  t.same([await pull('a%252Fb'), await pull('a%2F..%2Fa'), await pull('A'), await pull('a%2F')], [400, 400, 400, 400])
})

t.test('the ping asks for credentials although something is public: clients decide there whether to send any', async t => {
  const { as } = await guarded(t)
  const response = await as(undefined, { url: '/v2/' })
  t.same(errorCodes(t, response, 401), ['UNAUTHORIZED'])
  t.equal(response.headers['www-authenticate'], 'Basic realm="Test"')
  t.equal((await as(BOB, { url: '/v2/' })).statusCode, 200)
})

t.test('a mount without a source finds blobs only where the caller may pull', async t => {
  const registry = await guarded(t)
  const hidden = (await push(t, registry, 'secret/app')).blobs[0]
  const open = (await push(t, registry, 'public/app')).blobs[0]
  const mount = async (digest = ''): Promise<number> => (await registry.as(BOB, { method: 'POST', url: `/v2/bob/app/blobs/uploads/?mount=${digest}` })).statusCode
  t.same([await mount(hidden?.digest), await mount(sha256('nothing')), await mount(open?.digest)], [202, 202, 201])
  const named = async (from: string, digest = ''): Promise<object> => await seen(registry, BOB, 'POST', `/v2/bob/app/blobs/uploads/?mount=${digest}&from=${from}`)
  t.same(await named('secret/app', hidden?.digest), await named('secret/app', sha256('nothing')))
  t.match(await named('secret/app', hidden?.digest), { statusCode: 403, calls: 0 })
})

async function catalog ({ as }: Guarded, who: string | undefined, query = ''): Promise<{ repositories: string[], link: unknown }> {
  const response = await as(who, { url: `/v2/_catalog${query}` })
  const link = response.headers.link
  return { repositories: response.json<{ repositories: string[] }>().repositories, link }
}

t.test('the catalog lists what the caller may pull, in whole pages with the right Link', async t => {
  const registry = await guarded(t)
  const names = ['bob/a', 'bob/b', 'hidden/x', 'public/a', 'public/b/c', 'public/d', 'secret/app', 'zoo']
  for (const name of names) await push(t, registry, name)
  t.same(await catalog(registry, ANN), { repositories: names, link: undefined })
  t.same(await catalog(registry, undefined), { repositories: ['public/a', 'public/b/c', 'public/d'], link: undefined })
  t.same(await catalog(registry, BOB, '?n=3'), { repositories: ['bob/a', 'bob/b', 'public/a'], link: '</v2/_catalog?last=public%2Fa&n=3>; rel="next"' })
  t.same(await catalog(registry, BOB, '?n=3&last=public%2Fa'), { repositories: ['public/b/c', 'public/d'], link: undefined })
  t.same(await catalog(registry, BOB, '?n=5'), { repositories: ['bob/a', 'bob/b', 'public/a', 'public/b/c', 'public/d'], link: undefined }, 'no Link to a page of hidden ones')
  t.same(await catalog(registry, undefined, '?last=hidden%2Fx&n=1'), { repositories: ['public/a'], link: '</v2/_catalog?last=public%2Fa&n=1>; rel="next"' })
})

t.test('a page of the catalog costs what the caller may see, not what there is', async t => {
  const registry = await guarded(t)
  for (const name of ['public/a', ...Array.from({ length: 30 }, (_, i) => `secret/r${i}`), 'zoo/a']) await push(t, registry, name)
  registry.driver.calls.length = 0
  t.same((await catalog(registry, undefined)).repositories, ['public/a'])
  t.ok(registry.driver.calls.length <= 5, `${registry.driver.calls.length} calls`)
})

t.test('without anything to pull there is no catalog', async t => {
  const registry = await guarded(t, [
    { repositories: ['a/**'], actions: ['*' as const], users: ['ann'] },
    { repositories: ['drop'], actions: ['push' as never], users: ['bob'] }
  ])
  t.same(errorCodes(t, await registry.as(undefined, { url: '/v2/_catalog' }), 401), ['UNAUTHORIZED'])
  t.same(errorCodes(t, await registry.as(BOB, { url: '/v2/_catalog' }), 403), ['DENIED'])
  t.same((await registry.as(ANN, { url: '/v2/_catalog' })).json(), { repositories: [] })
})

t.test('without a policy every user may do everything, and nobody else anything', async t => {
  const path = await htpasswdFile(t, { ann: 'correct horse', bob: 'battery staple' })
  const app = await build(t, { storage: { inmemory: {} }, auth: { htpasswd: { realm: 'Test', path } } })
  const content = blob('x')
  for (const [authorization, status] of [[ANN, 201], [BOB, 201], [undefined, 401], [basic('ann', 'wrong'), 401]] as const) {
    const url = `/v2/any/where/blobs/uploads/?digest=${content.digest}`
    t.equal((await app.inject({ method: 'POST', url, payload: content.bytes, headers: authorization === undefined ? {} : { authorization } })).statusCode, status)
  }
  t.same((await app.inject({ url: '/v2/_catalog', headers: { authorization: BOB } })).json(), { repositories: [] })
})

t.test('10,000 requests with random credentials: no access, and nothing breaks', async t => {
  const { app } = await guarded(t)
  const statuses = new Map<number, number>()
  const random = (): string => Math.random().toString(36).slice(2)
  const one = async (i: number): Promise<void> => {
    const authorization = [basic(random(), random()), basic('ann', random()), `Bearer ${random()}`, `Basic ${random()}`, random()][i % 5] ?? ''
    const { statusCode } = await app.inject({ url: '/v2/secret/app/manifests/1.0', headers: { authorization }, remoteAddress: `198.51.${i >> 8 & 255}.${i & 255}` })
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  }
  await Promise.all(Array.from({ length: 10_000 }, async (_, i) => { await one(i) }))
  t.same([...statuses.keys()].filter(status => status !== 401 && status !== 429), [])
  t.ok((statuses.get(401) ?? 0) >= 6000, JSON.stringify([...statuses]))
  t.equal((await app.inject({ url: '/v2/', headers: { authorization: BOB }, remoteAddress: '203.0.113.1' })).statusCode, 200, 'others get in')
})
