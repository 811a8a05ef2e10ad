import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import { blob, image, pushBlob, pushManifest, sha256 } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'
import { registryBehaviour } from '../suites/registry-behaviour.js'

const http = { relativeurls: true }

registryBehaviour(t, 'in memory', async t => ({ app: await build(t), prefix: '' }))

registryBehaviour(t, 'in the file system', async t => {
  const storage = { filesystem: { rootdirectory: t.testdir(), fsync: false }, delete: { enabled: true } }
  return { app: await build(t, { storage, http }), prefix: '' }
})

for (const prefix of ['/containers', '/deep/er/path', '/v2/inner', '/v2']) {
  registryBehaviour(t, `under the prefix ${prefix}`, async t => ({ app: await build(t, { ...IN_MEMORY, prefix }), prefix }))
}

registryBehaviour(t, 'as the first of two in one server', async t => ({ app: await twice(t), prefix: '/one' }))
registryBehaviour(t, 'as the second of two in one server', async t => ({ app: await twice(t), prefix: '/two' }))
registryBehaviour(t, 'as root, with another one under a prefix', async t => ({ app: await twice(t, ['', '/two']), prefix: '' }))

async function twice (t: Test, prefixes = ['/one', '/two']): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  for (const prefix of prefixes) await app.register(registry, { ...IN_MEMORY, prefix })
  await app.ready()
  return app
}

t.test('two registries in one server never mix their contents', async t => {
  const app = await twice(t)
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, '1.0', '/one')
  const session = await app.inject({ method: 'POST', url: '/one/v2/team/app/blobs/uploads/' })
  const elsewhere = String(session.headers['location']).replace('/one/', '/two/')
  t.same(errorCodes(t, await app.inject('/two/v2/team/app/manifests/1.0'), 404), ['MANIFEST_UNKNOWN'])
  t.same(errorCodes(t, await app.inject(`/two/v2/team/app/blobs/${manifest.blobs[0]?.digest}`), 404), ['BLOB_UNKNOWN'])
  t.same(errorCodes(t, await app.inject('/two/v2/team/app/tags/list'), 404), ['NAME_UNKNOWN'])
  t.same(errorCodes(t, await app.inject(elsewhere), 404), ['BLOB_UPLOAD_UNKNOWN'])
  t.same((await app.inject('/two/v2/_catalog')).json(), { repositories: [] })
  t.same((await app.inject('/one/v2/_catalog')).json(), { repositories: ['team/app'] })
})

t.test('each of two registries in one server has its own settings', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(registry, { ...IN_MEMORY, prefix: '/open' })
  await app.register(registry, { storage: { inmemory: {}, maintenance: { readonly: { enabled: true } } }, prefix: '/closed' })
  const push = { method: 'POST', payload: 'x' } as const
  t.equal((await app.inject({ ...push, url: `/open/v2/a/blobs/uploads/?digest=${sha256('x')}` })).statusCode, 201)
  t.same(errorCodes(t, await app.inject({ ...push, url: `/closed/v2/a/blobs/uploads/?digest=${sha256('x')}` }), 405), ['UNSUPPORTED'])
})

/** A registry with something in it, switched to other settings afterwards, as an operator would. */
async function filled (t: Test, storage: { delete?: { enabled: boolean }, maintenance?: { readonly: { enabled: boolean } } }): Promise<{ app: FastifyInstance, manifest: Manifest, session: string }> {
  const driver = new MemoryDriver()
  const before = await build(t, { ...IN_MEMORY, instances: { driver } })
  const manifest = image()
  await pushManifest(t, before, 'team/app', manifest, '1.0')
  const started = await before.inject({ method: 'POST', url: '/v2/team/app/blobs/uploads/' })
  const app = await build(t, { storage, http, instances: { driver } })
  return { app, manifest, session: String(started.headers['location']) }
}

t.test('a read-only registry refuses every write with 405 and says what it allows (R-139, R-195)', async t => {
  const { app, manifest, session } = await filled(t, { delete: { enabled: true }, maintenance: { readonly: { enabled: true } } })
  const digest = manifest.blobs[0]?.digest
  const writes = [
    ['POST', '/v2/team/app/blobs/uploads/'],
    ['POST', '/v2/team/app/blobs/uploads'],
    ['POST', `/v2/team/app/blobs/uploads/?digest=${sha256('x')}`],
    ['POST', `/v2/team/other/blobs/uploads/?mount=${digest}&from=team/app`],
    ['PATCH', session],
    ['PUT', `${session}?digest=${sha256('x')}`],
    ['DELETE', session],
    ['DELETE', `/v2/team/app/blobs/${digest}`],
    ['PUT', '/v2/team/app/manifests/2.0'],
    ['DELETE', '/v2/team/app/manifests/1.0'],
    ['DELETE', `/v2/team/app/manifests/${manifest.digest}`]
  ] as const
  for (const [method, url] of writes) {
    const response = await app.inject({ method, url, ...(method === 'DELETE' ? {} : { payload: 'x' }) })
    t.same(errorCodes(t, response, 405), ['UNSUPPORTED'], `${method} ${url}`)
    t.equal(response.headers['allow'], 'GET, HEAD')
  }
  t.equal((await app.inject('/v2/team/app/manifests/1.0')).statusCode, 200)
  t.same((await app.inject('/v2/team/app/tags/list')).json(), { name: 'team/app', tags: ['1.0'] })
  t.equal((await app.inject(`/v2/team/other/blobs/${digest}`)).statusCode, 404)
})

t.test('a read-only registry answers every read', async t => {
  const { app, manifest, session } = await filled(t, { maintenance: { readonly: { enabled: true } } })
  const reads = [
    ['/v2/', 200], ['/v2', 200], ['/v2/_catalog', 200], ['/v2/team/app/tags/list', 200], ['/v2/team/app/manifests/1.0', 200],
    [`/v2/team/app/blobs/${manifest.blobs[1]?.digest}`, 200], [`/v2/team/app/referrers/${manifest.digest}`, 200], [session, 204]
  ] as const
  for (const [url, status] of reads) {
    t.equal((await app.inject(url)).statusCode, status, `GET ${url}`)
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, status, `HEAD ${url}`)
  }
})

t.test('with deletes switched off blobs, manifests and tags stay (R-139, R-195)', async t => {
  const { app, manifest } = await filled(t, {})
  const digest = manifest.blobs[0]?.digest
  const refused = [
    [`/v2/team/app/blobs/${digest}`, 'GET, HEAD'],
    ['/v2/team/app/manifests/1.0', 'GET, HEAD, PUT'],
    [`/v2/team/app/manifests/${manifest.digest}`, 'GET, HEAD, PUT']
  ] as const
  for (const [url, allow] of refused) {
    const response = await app.inject({ method: 'DELETE', url })
    t.same(errorCodes(t, response, 405), ['UNSUPPORTED'])
    t.equal(response.headers['allow'], allow)
    t.equal((await app.inject(url)).statusCode, 200)
  }
})

t.test('with deletes switched off what does not exist is refused alike', async t => {
  const { app } = await filled(t, {})
  for (const url of [`/v2/team/app/blobs/${sha256('?')}`, '/v2/no/thing/manifests/1.0']) {
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url }), 405), ['UNSUPPORTED'])
  }
})

t.test('with deletes switched off an upload can be cancelled and blobs be pushed', async t => {
  const { app, session } = await filled(t, {})
  t.equal((await app.inject({ method: 'DELETE', url: session })).statusCode, 204)
  t.same(errorCodes(t, await app.inject(session), 404), ['BLOB_UPLOAD_UNKNOWN'])
  await pushBlob(t, app, 'team/app', blob('more'))
})
