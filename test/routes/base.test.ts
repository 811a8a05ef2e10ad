import t from 'tap'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { image, pushManifest, sha256, sha512 } from '../helpers/images.js'
import { ownHeaders } from '../suites/registry-behaviour.js'

const UUID = '00000000-0000-4000-8000-000000000000'
const HEADERS = { 'content-type': 'application/json', 'content-length': '2', 'docker-distribution-api-version': 'registry/2.0' }

t.test('the base answers {} with and without the final slash (R-041, R-042, R-046)', async t => {
  const app = await build(t)
  for (const url of ['/v2/', '/v2', '/v2/?x=1']) {
    const response = await app.inject(url)
    t.equal(response.statusCode, 200)
    t.equal(response.body, '{}')
    t.same(ownHeaders(response), HEADERS)
  }
})

t.test('HEAD on the base has the headers of GET and no body (R-005, R-047)', async t => {
  const app = await build(t)
  for (const url of ['/v2/', '/v2']) {
    const response = await app.inject({ method: 'HEAD', url })
    t.equal(response.statusCode, 200)
    t.equal(response.body, '')
    t.same(ownHeaders(response), HEADERS)
  }
})

t.test('a wrong method on a resource that exists is 405 with the methods it has (R-007)', async t => {
  const app = await build(t)
  const digest = sha256('x')
  const resources: Array<[string, string]> = [
    ['/v2/', 'GET, HEAD'],
    ['/v2', 'GET, HEAD'],
    ['/v2/_catalog', 'GET, HEAD'],
    ['/v2/team/app/manifests/1.0', 'DELETE, GET, HEAD, PUT'],
    [`/v2/team/app/manifests/${digest}`, 'DELETE, GET, HEAD, PUT'],
    [`/v2/team/app/blobs/${digest}`, 'DELETE, GET, HEAD'],
    ['/v2/team/app/blobs/uploads/', 'POST'],
    ['/v2/team/app/blobs/uploads', 'POST'],
    [`/v2/team/app/blobs/uploads/${UUID}`, 'DELETE, GET, HEAD, PATCH, PUT'],
    ['/v2/team/app/tags/list', 'GET, HEAD'],
    [`/v2/team/app/referrers/${digest}`, 'GET, HEAD']
  ]
  for (const [url, allow] of resources) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      if (allow.split(', ').includes(method)) continue
      const response = await app.inject({ method, url })
      t.equal(response.headers['allow'], allow, `${method} ${url}`)
      if (method === 'HEAD') t.equal(response.statusCode, 405)
      else t.same(errorCodes(t, response, 405), ['UNSUPPORTED'], `${method} ${url}`)
    }
  }
})

t.test('every method that a resource is said to allow reaches it', async t => {
  const app = await build(t)
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE'] as const) {
    t.not((await app.inject({ method, url: '/v2/team/app/manifests/1.0' })).statusCode, 405, method)
  }
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const) {
    t.not((await app.inject({ method, url: `/v2/team/app/blobs/uploads/${UUID}` })).statusCode, 405, method)
  }
})

t.test('paths that name nothing are 404 in the envelope, whatever the method (R-003, R-008)', async t => {
  const app = await build(t)
  const paths = [
    '/v2/x', '/v2/team/app', '/v2/team/app/', '/v2/team/app/manifests', '/v2/team/app/manifests/', '/v2/team/app/blobs',
    '/v2/team/app/tags', '/v2/team/app/tags/', '/v2/team/app/tags/list/', '/v2/team/app/referrers', '/v2/_catalog/', '/v2/_other',
    '/v2/team/app/blobs/uploads/a/b', '/v2/team/app/manifests/a/b', '/v2//', '/v2/TEAM/app/taglist', '/v2/team/app/_manifests/1.0'
  ]
  for (const url of paths) {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      const response = await app.inject({ method, url })
      t.same(errorCodes(t, response, 404), ['NAME_INVALID'], `${method} ${url}`)
    }
  }
})

t.test('a resource without a repository in front of it is no path (R-008)', async t => {
  const app = await build(t)
  for (const url of ['/v2/manifests/1.0', `/v2/blobs/${sha256('x')}`, '/v2/tags/list', '/v2/blobs/uploads/', `/v2/blobs/uploads/${UUID}`, `/v2/referrers/${sha256('x')}`]) {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      t.same(errorCodes(t, await app.inject({ method, url }), 404), ['NAME_INVALID'], `${method} ${url}`)
    }
  }
})

t.test('an error is the envelope and nothing else (R-002, R-003, R-004)', async t => {
  const app = await build(t)
  const errors = [
    await app.inject('/v2/nowhere'),
    await app.inject({ method: 'POST', url: '/v2/' }),
    await app.inject('/v2/team/app/manifests/1.0'),
    await app.inject('/v2/TEAM/manifests/1.0'),
    await app.inject('/v2/team/app/tags/list?n=-1'),
    await app.inject({ method: 'PUT', url: '/v2/team/app/manifests/1.0', payload: '[]' })
  ]
  for (const response of errors) {
    const body = response.json<ErrorBody>()
    t.same(Object.keys(body), ['errors'])
    t.equal(response.headers['content-length'], String(response.rawPayload.length))
    t.equal(body.errors.length, 1)
    for (const entry of body.errors) {
      t.match(entry.code, /^[A-Z_]+$/)
      t.equal(typeof entry.message, 'string')
      t.ok(Object.keys(entry).every(key => ['code', 'message', 'detail'].includes(key)))
    }
  }
})

t.test('a name that breaks the grammar is NAME_INVALID on every resource and method (R-026, R-028, R-082)', async t => {
  const app = await build(t)
  const requests = [
    ['GET', '/manifests/1.0'], ['HEAD', '/manifests/1.0'], ['PUT', '/manifests/1.0'], ['DELETE', '/manifests/1.0'],
    ['GET', `/blobs/${sha256('x')}`], ['HEAD', `/blobs/${sha256('x')}`], ['DELETE', `/blobs/${sha256('x')}`],
    ['POST', '/blobs/uploads/'], ['GET', `/blobs/uploads/${UUID}`], ['PATCH', `/blobs/uploads/${UUID}`],
    ['PUT', `/blobs/uploads/${UUID}`], ['DELETE', `/blobs/uploads/${UUID}`], ['GET', '/tags/list'], ['GET', `/referrers/${sha256('x')}`]
  ] as const
  for (const name of ['UPPER/x', 'a//b', 'a..b', '-a', 'a_', 'a%20b', 'a___b', `${'a'.repeat(256)}`, '%00', 'ä', '_catalog']) {
    for (const [method, tail] of requests) {
      const response = await app.inject({ method, url: `/v2/${name}${tail}` })
      if (method === 'HEAD') t.equal(response.statusCode, 400, `${name} ${tail}`)
      else t.same(errorCodes(t, response, 400), ['NAME_INVALID'], `${method} ${name}${tail}`)
    }
  }
})

t.test('a name of 255 characters, a tag of 128 and a sha512 digest fit (R-020, R-027)', async t => {
  const app = await build(t)
  const name = `${'a'.repeat(127)}/${'b'.repeat(127)}`
  const tag = 't'.repeat(128)
  const manifest = image()
  const digest = sha512(manifest.bytes)
  await pushManifest(t, app, name, manifest, tag)
  await pushManifest(t, app, name, manifest, digest)
  t.equal((await app.inject(`/v2/${name}/manifests/${tag}`)).statusCode, 200)
  t.equal((await app.inject(`/v2/${name}/manifests/${digest}`)).statusCode, 200)
  t.equal((await app.inject(`/v2/${name}/manifests/${encodeURIComponent(digest)}`)).statusCode, 200)
})

t.test('the words of the API are names too (R-029)', async t => {
  const app = await build(t)
  const manifest = image()
  for (const name of ['manifests', 'blobs/uploads', 'tags/list', 'a/blobs', 'a/manifests/b', 'uploads', 'referrers/x', 'v2', 'v2/v2']) {
    await pushManifest(t, app, name, manifest, 'list')
    t.equal((await app.inject(`/v2/${name}/manifests/list`)).statusCode, 200, name)
    t.same((await app.inject(`/v2/${name}/tags/list`)).json(), { name, tags: ['list'] })
  }
})

t.test('an escaped slash and an escaped colon mean what they escape (R-019)', async t => {
  const app = await build(t)
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, '1.0')
  for (const url of ['/v2/team%2Fapp/manifests/1.0', '/v2/team%2fapp/manifests/1%2E0', `/v2/team/app/manifests/${manifest.digest.replace(':', '%3A')}`]) {
    const response = await app.inject(url)
    t.equal(response.statusCode, 200, url)
    t.equal(response.headers['docker-content-digest'], manifest.digest)
  }
})

t.test('unknown query parameters and headers, and any Accept, are passed over (R-021, R-022, R-023)', async t => {
  const app = await build(t)
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, '1.0')
  const base = '/v2/team/app'
  for (const url of ['/v2/', '/v2/_catalog', `${base}/tags/list`, `${base}/manifests/1.0`, `${base}/blobs/${manifest.blobs[0]?.digest}`, `${base}/referrers/${manifest.digest}`]) {
    for (const accept of ['text/html', '*/*', 'nonsense', 'application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1']) {
      const response = await app.inject({ url: `${url}?ns=docker.io&ns=again&x[y]=1&__proto__=1`, headers: { accept, 'x-unknown': '1', 'accept-encoding': 'gzip, zstd' } })
      t.equal(response.statusCode, 200, `${url} ${accept}`)
      t.notOk(response.headers['content-encoding'])
    }
  }
})

t.test('a registry answers in the envelope when it is mounted at /v2 itself', async t => {
  const app = await build(t, { ...IN_MEMORY, prefix: '/v2' })
  t.equal((await app.inject('/v2/v2/')).body, '{}')
  t.same(errorCodes(t, await app.inject('/v2/v2/nowhere'), 404), ['NAME_INVALID'])
})

t.test('configured headers are on every answer, errors included', async t => {
  const app = await build(t, { ...IN_MEMORY, http: { headers: { 'x-content-type-options': ['nosniff'], 'x-many': ['a', 'b'] } } })
  for (const url of ['/v2/', '/v2/nowhere', '/v2/team/app/manifests/1.0', '/v2/_catalog']) {
    const { headers } = await app.inject(url)
    t.equal(headers['x-content-type-options'], 'nosniff', url)
    t.same(headers['x-many'], ['a', 'b'])
  }
})
