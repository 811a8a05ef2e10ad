import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { ConfigError, registry } from '../../index.js'
import type { RegistryOptions } from '../../index.js'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, errorCodes } from '../helpers/build.js'
import { blob, image, index, pushBlob, pushManifest, sha512 } from '../helpers/images.js'

const DECORATORS = ['ociConfig', 'ociDriver', 'ociUploads', 'ociNamespace', 'ociAuth', 'ociAllow', 'ociRedis', 'ociDescriptors']

/** A host application, registry included, after `prepare` has done to it what hosts do. */
async function host (t: Test, prepare: (app: FastifyInstance) => void = () => {}, { options = {}, prefix = '' }: { options?: FastifyServerOptions, prefix?: string } = {}): Promise<FastifyInstance> {
  const app = Fastify(options)
  t.teardown(async () => { await app.close() })
  prepare(app)
  await app.register(registry, { ...IN_MEMORY, prefix })
  await app.ready()
  return app
}

/** Pushes and pulls an image and an index, lists, deletes: that the registry works in this host. */
async function works (t: Test, app: FastifyInstance, prefix = ''): Promise<void> {
  const child = image()
  const top = index([child])
  await pushManifest(t, app, 'team/app', child, child.digest, prefix)
  await pushManifest(t, app, 'team/app', top, '1.0', prefix)
  const pulled = await app.inject(`${prefix}/v2/team/app/manifests/1.0`)
  t.equal(pulled.statusCode, 200)
  t.same(pulled.rawPayload, top.bytes)
  t.equal(pulled.headers['content-type'], top.mediaType)
  t.same((await app.inject(`${prefix}/v2/team/app/tags/list?n=5`)).json(), { name: 'team/app', tags: ['1.0'] })
  t.same((await app.inject(`${prefix}/v2/_catalog`)).json(), { repositories: ['team/app'] })
  t.equal((await app.inject({ method: 'DELETE', url: `${prefix}/v2/team/app/manifests/1.0` })).statusCode, 202)
  t.same(errorCodes(t, await app.inject(`${prefix}/v2/team/app/manifests/1.0`), 404), ['MANIFEST_UNKNOWN'])
}

t.test("a host's routes answer as before, also below its own /v2", async t => {
  const app = await host(t, app => {
    app.get('/', async () => ({ home: true }))
    app.get('/items/:id', async ({ params }) => params)
    app.post('/items', async ({ body }) => ({ got: body }))
    app.get('/v2/own', async () => 'mine')
    app.get('/team/app/tags/list', async () => 'also mine')
  })
  t.same((await app.inject('/')).json(), { home: true })
  t.same((await app.inject('/items/7')).json(), { id: '7' })
  t.same((await app.inject({ method: 'POST', url: '/items', payload: { a: 1 } })).json(), { got: { a: 1 } })
  t.equal((await app.inject('/v2/own')).body, 'mine')
  t.equal((await app.inject('/team/app/tags/list')).body, 'also mine')
  await works(t, app)
})

t.test('a host may have decorators of any name, ours included', async t => {
  const own = ['config', 'redis', 'auth', 'storage', 'ociOther']
  const app = await host(t, app => {
    for (const name of own) app.decorate(name, `host ${name}`)
    app.decorateRequest('user', null)
    app.decorateReply('storage', null)
  })
  for (const name of own) t.equal((app as unknown as Record<string, unknown>)[name], `host ${name}`)
  await works(t, app)
})

t.test('a host that has a decorator named ociConfig keeps it, with the registry working under it', async t => {
  const app = await host(t, app => { app.decorate('ociConfig' as 'other', 'host') })
  t.equal(app.ociConfig as unknown, 'host')
  await works(t, app)
})

t.test('nothing the registry decorates is seen by the host', async t => {
  const app = await host(t)
  for (const name of DECORATORS) t.notOk(app.hasDecorator(name), name)
  t.notOk(app.hasRequestDecorator('oci'))
  t.notOk(app.hasReplyDecorator('oci'))
})

t.test("a host's 404 handler answers for what is not the registry's, ours for what is", async t => {
  for (const prefix of ['', '/containers']) {
    const app = await host(t, app => {
      app.setNotFoundHandler(async (request, reply) => await reply.code(404).header('x-host', '1').send({ missing: request.url }))
    }, { prefix })
    for (const url of ['/nowhere', `${prefix}/v3/`, '/v2x', `${prefix}/v2x/team/app/tags/list`, '/team/app/manifests/1.0']) {
      const response = await app.inject(url)
      t.equal(response.statusCode, 404)
      t.same(response.json(), { missing: url })
      t.equal(response.headers['x-host'], '1')
      t.notOk(response.headers['docker-distribution-api-version'])
    }
    const ours = await app.inject(`${prefix}/v2/nowhere`)
    t.same(errorCodes(t, ours, 404), ['NAME_INVALID'])
    t.notOk(ours.headers['x-host'])
  }
})

t.test("a host's error handler sees its own errors and none of ours", async t => {
  const seen: string[] = []
  const app = await host(t, app => {
    app.get('/broken', async () => { throw new Error('host error') })
    app.setErrorHandler(async (error, _request, reply) => {
      seen.push((error as Error).message)
      return await reply.code(500).send({ host: true })
    })
  })
  t.same((await app.inject('/broken')).json(), { host: true })
  t.same(errorCodes(t, await app.inject('/v2/team/app/manifests/1.0'), 404), ['MANIFEST_UNKNOWN'])
  t.same(seen, ['host error'])
})

t.test("a host's parsers and body limit hold for the host, not for the registry", async t => {
  const parsed: unknown[] = []
  const app = await host(t, app => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => { parsed.push(body); done(null, { parsed: body }) })
    app.post('/items', async ({ body }) => body)
  }, { options: { bodyLimit: 10 } })
  t.same((await app.inject({ method: 'POST', url: '/items', payload: '{"a":1}', headers: { 'content-type': 'application/json' } })).json(), { parsed: '{"a":1}' })
  t.equal((await app.inject({ method: 'POST', url: '/items', payload: '{"a":12345678}', headers: { 'content-type': 'application/json' } })).statusCode, 413)
  t.equal((await app.inject({ method: 'POST', url: '/items', payload: 'x', headers: { 'content-type': 'text/x' } })).statusCode, 415)
  await works(t, app)
  const content = blob(`{"json":"${'x'.repeat(2_000_000)}"}`)
  const pushed = await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${content.digest}`, payload: content.bytes, headers: { 'content-type': 'application/json' } })
  t.equal(pushed.statusCode, 201)
  t.same(parsed, ['{"a":1}'])
})

t.test("a host's validator and serializer are not used for the registry, nor ours for the host", async t => {
  const app = await host(t, app => {
    app.setValidatorCompiler(() => () => ({ error: new Error('host says no') }))
    app.setSerializerCompiler(() => () => '"host"')
    app.get('/checked', { schema: { querystring: { type: 'object' } } }, async () => 'x')
    app.get('/open', { schema: { response: { 200: { type: 'string' } } } }, async () => ({}))
  })
  t.equal((await app.inject('/checked')).statusCode, 400)
  t.equal((await app.inject('/open')).body, '"host"')
  await works(t, app)
})

t.test("a host's hooks run for the registry's requests, and ours only for those", async t => {
  const ran: string[] = []
  const app = await host(t, app => {
    app.addHook('onRequest', async ({ method, url }) => { ran.push(`onRequest ${method} ${url}`) })
    app.addHook('preHandler', async ({ method, body }) => { ran.push(`preHandler ${method} ${typeof body}`) })
    app.addHook('onSend', async (_request, reply, payload) => { reply.header('x-host', '1'); ran.push('onSend'); return payload })
    app.addHook('onResponse', async () => { ran.push('onResponse') })
    app.get('/own', async () => 'own')
  })
  const own = await app.inject('/own')
  t.notOk(own.headers['docker-distribution-api-version'])
  t.same(ran.splice(0), ['onRequest GET /own', 'preHandler GET undefined', 'onSend', 'onResponse'])
  const response = await app.inject('/v2/')
  t.equal(response.headers['x-host'], '1')
  t.same(ran.splice(0), ['onRequest GET /v2/', 'preHandler GET undefined', 'onSend', 'onResponse'])
  await works(t, app)
})

t.test("a host's guard in onRequest answers in our place", async t => {
  const app = await host(t, app => {
    app.addHook('onRequest', async (request, reply) => {
      if (request.headers.authorization === undefined) return await reply.code(401).header('www-authenticate', 'Basic').send({ host: true })
    })
  })
  const response = await app.inject('/v2/team/app/manifests/1.0')
  t.equal(response.statusCode, 401)
  t.same(response.json(), { host: true })
  t.equal((await app.inject({ url: '/v2/', headers: { authorization: 'Basic x' } })).statusCode, 200)
})

const ROUTERS: Array<[string, FastifyServerOptions]> = [
  ['ignoreTrailingSlash', { routerOptions: { ignoreTrailingSlash: true } }],
  ['ignoreDuplicateSlashes', { routerOptions: { ignoreDuplicateSlashes: true } }],
  ['caseSensitive: false', { routerOptions: { caseSensitive: false } }],
  ['maxParamLength: 10', { routerOptions: { maxParamLength: 10 } }],
  ['a querystring parser of its own', { routerOptions: { querystringParser: text => Object.fromEntries(new URLSearchParams(text)) } }],
  ['exposeHeadRoutes: false', { exposeHeadRoutes: false }],
  ['bodyLimit: 1', { bodyLimit: 1 }],
  ['return503OnClosing: false', { return503OnClosing: false }],
  ['a prototype poisoning guard', { onProtoPoisoning: 'remove', onConstructorPoisoning: 'remove' }],
  ['ajv that removes additional properties', { ajv: { customOptions: { removeAdditional: 'all', coerceTypes: false } } }]
]

for (const [name, options] of ROUTERS) {
  t.test(`the registry works in a host with ${name}`, async t => {
    const app = await host(t, app => { app.get('/own', async () => 'own') }, { options, prefix: '/containers' })
    t.equal((await app.inject('/own')).body, 'own')
    await works(t, app, '/containers')
    const manifest = image('sha512')
    await pushManifest(t, app, `team/${'n'.repeat(200)}`, manifest, 'T'.repeat(128), '/containers')
    await pushManifest(t, app, 'team/app', manifest, sha512(manifest.bytes), '/containers')
    const started = await app.inject({ method: 'POST', url: '/containers/v2/team/app/blobs/uploads/' })
    t.equal((await app.inject(String(started.headers['location']))).statusCode, 204)
  })
}

t.test('tags and names keep their case in a host whose routes have none', async t => {
  const app = await host(t, () => {}, { options: { routerOptions: { caseSensitive: false } } })
  await pushManifest(t, app, 'team/app', image('lower'), 'latest')
  await pushManifest(t, app, 'team/app', image('upper'), 'LATEST')
  t.same((await app.inject('/v2/team/app/manifests/latest')).rawPayload, image('lower').bytes)
  t.same((await app.inject('/v2/team/app/manifests/LATEST')).rawPayload, image('upper').bytes)
  t.same(errorCodes(t, await app.inject('/v2/Team/app/manifests/latest'), 400), ['NAME_INVALID'])
})

t.test('closing the host closes a driver of ours and leaves the one it handed in open', async t => {
  let closed = 0
  const driver = Object.assign(new MemoryDriver(), { close: async () => { closed++ } })
  const app = Fastify()
  await app.register(registry, { ...IN_MEMORY, instances: { driver } })
  await pushBlob(t, app, 'team/app', blob('x'))
  await app.close()
  t.equal(closed, 0)
  t.ok((await driver.list('/docker/registry/v2')).includes('blobs'))

  let ownClosed = 0
  const original = FilesystemDriver.prototype.close
  FilesystemDriver.prototype.close = async () => { ownClosed++ }
  t.teardown(() => { FilesystemDriver.prototype.close = original })
  const owner = Fastify()
  await owner.register(registry, { storage: { filesystem: { rootdirectory: t.testdir() } } })
  await owner.ready()
  t.equal(ownClosed, 0)
  await owner.close()
  t.equal(ownClosed, 1)
})

t.test('a driver handed in takes the place of a configured one', async t => {
  const driver = new MemoryDriver()
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(registry, { storage: { delete: { enabled: true } }, instances: { driver } })
  const content = blob('x')
  await pushBlob(t, app, 'team/app', content)
  t.equal((await driver.read(`/docker/registry/v2/blobs/sha256/${content.digest.slice(7, 9)}/${content.digest.slice(7)}/data`)).toString(), 'x')
})

const BAD: Array<[string, unknown, RegExp]> = [
  ['no storage', {}, /^storage: exactly one driver/],
  ['two drivers', { storage: { inmemory: {}, filesystem: {} } }, /^storage: exactly one driver/],
  ['an unknown key', { storage: { inmemory: {} }, htpp: {} }, /^htpp: there is no such key/],
  ['an unknown key further down', { storage: { inmemory: {}, delete: { enable: true } } }, /^storage\.delete\.enable: there is no such key/],
  ['a wrong type', { storage: { inmemory: {}, delete: { enabled: 'yes' } } }, /^storage\.delete\.enabled: true or false is needed/],
  ['a wrong value', { storage: { inmemory: {} }, log: { level: 'loud' } }, /^log\.level: .*error, warn, info, debug/],
  ['a wrong duration', { storage: { inmemory: {} }, http: { draintimeout: 'soon' } }, /^http\.draintimeout: a duration such as 300ms, 10s or 1h30m is needed/],
  ['a directory that cannot be made', { storage: { filesystem: { rootdirectory: '/dev/null/x' } } }, /^storage\.filesystem\.rootdirectory: cannot write/]
]

for (const [what, options, message] of BAD) {
  t.test(`a configuration with ${what} fails the boot and names the key`, async t => {
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    void app.register(registry, options as RegistryOptions)
    const error = await Promise.resolve(app.ready()).then(() => undefined, (error: unknown) => error)
    t.ok(error instanceof ConfigError, String(error))
    t.match((error as Error).message, message)
  })
}

t.test('options of Fastify itself are no configuration, and the input is left alone', async t => {
  const options = Object.freeze({ prefix: '/p', logLevel: 'silent' as const, storage: Object.freeze({ inmemory: Object.freeze({}) }) })
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(registry, options)
  t.equal((await app.inject('/p/v2/')).statusCode, 200)
  t.same(options, { prefix: '/p', logLevel: 'silent', storage: { inmemory: {} } })
})
