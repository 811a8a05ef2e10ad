import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { FilesystemDriver } from '../../services/storage/filesystem.js'
import { parseRepositoryName } from '../../services/reference/reference.js'
import type { Tag } from '../../services/reference/reference.js'
import { blobPath, linkPath, tagCurrentPath } from '../../services/registry/layout.js'
import type { RegistryOptions } from '../../registry.js'
import { build, errorCodes } from '../helpers/build.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, pushBlob, pushManifest, sha512 } from '../helpers/images.js'
import { needs } from '../helpers/clients.js'
import { startRedis } from '../helpers/redis.js'

const NAME = parseRepositoryName('team/app')
const LAYER = blob('a layer')
const IMAGE = image('counted')
// Nothing in its bytes says what it is, so its media type lies beside it in storage.
const PLAIN = image('plain', { mediaType: undefined })

interface Counted { readonly app: FastifyInstance, readonly driver: FaultDriver, readonly calls: (request: InjectOptions, status?: number) => Promise<string[]> }

/** A registry that counts what it asks of storage; `calls` makes a request and returns what it took. */
async function counted (t: Test, options: Omit<RegistryOptions, 'storage'> & { cache: object }): Promise<Counted> {
  const driver = new FaultDriver(await FilesystemDriver.open({ rootdirectory: t.testdir({}), fsync: false }))
  const { cache, ...others } = options
  const app = await build(t, { storage: { cache, delete: { enabled: true } }, ...others, instances: { ...others.instances, driver } })
  const calls = async (request: InjectOptions, status = 200): Promise<string[]> => {
    driver.calls.length = 0
    const response = await app.inject(request)
    t.equal(response.statusCode, status, response.body)
    return driver.calls.map(({ operation, path }) => `${operation} ${path}`)
  }
  return { app, driver, calls }
}

const blobUrl = (digest: string): string => `/v2/${NAME}/blobs/${digest}`
const manifestUrl = (reference: string): string => `/v2/${NAME}/manifests/${reference}`

async function settled (app: FastifyInstance): Promise<void> {
  // Nobody waits for an entry to be there; the cache answers in order, so after one more question it is.
  await app.inject({ method: 'HEAD', url: blobUrl(blob('nobody has this').digest) })
}

function storageCalls (t: Test, options: (t: Test) => Promise<Omit<RegistryOptions, 'storage'> & { cache: object }>): void {
  t.test('a blob that was pushed or asked for once needs no stat and no link; its content is read once, if it is small', async t => {
    const { app, calls } = await counted(t, await options(t))
    await pushBlob(t, app, NAME, LAYER)
    await settled(app)
    t.same(await calls({ method: 'HEAD', url: blobUrl(LAYER.digest) }), [])
    t.same(await calls({ url: blobUrl(LAYER.digest) }), [`read ${blobPath(LAYER.digest)}`])
    t.same(await calls({ url: blobUrl(LAYER.digest) }), [])
    t.same(await calls({ url: blobUrl(LAYER.digest), headers: { range: 'bytes=1-2' } }, 206), [`createReadStream ${blobPath(LAYER.digest)}`])
    t.same(await calls({ url: blobUrl(LAYER.digest), headers: { 'if-none-match': `"${LAYER.digest}"` } }, 304), [])
  })

  t.test('a large blob is opened each time', async t => {
    const { app, calls } = await counted(t, await options(t))
    const large = blob('more than is kept in memory'.repeat(4000))
    await pushBlob(t, app, NAME, large)
    await settled(app)
    for (let i = 0; i < 2; i++) t.same(await calls({ url: blobUrl(large.digest) }), [`createReadStream ${blobPath(large.digest)}`])
  })

  t.test('the same under another algorithm', async t => {
    const { app, calls } = await counted(t, await options(t))
    const alias = sha512(LAYER.bytes)
    await pushBlob(t, app, NAME, { ...LAYER, digest: alias })
    await settled(app)
    t.same(await calls({ method: 'HEAD', url: blobUrl(alias) }), [])
    t.same(await calls({ url: blobUrl(alias) }), [`read ${blobPath(LAYER.digest)}`])
    t.same(await calls({ url: blobUrl(alias) }), [])
  })

  t.test('a cold blob is looked up once; another repository still looks at its own link, and only there', async t => {
    const { app, driver } = await counted(t, await options(t))
    await pushBlob(t, app, NAME, LAYER)
    await pushBlob(t, app, 'team/b', LAYER)
    await settled(app)
    const cold = await build(t, { storage: { cache: { blobdescriptor: 'inmemory' } }, instances: { driver } })
    driver.calls.length = 0
    for (const name of [NAME, NAME, 'team/b', 'team/b']) t.equal((await cold.inject({ method: 'HEAD', url: `/v2/${name}/blobs/${LAYER.digest}` })).statusCode, 200)
    t.same(driver.calls.map(({ operation, path }) => `${operation} ${path}`), [
      `read ${linkPath(NAME, '_layers', LAYER.digest)}`,
      `stat ${blobPath(LAYER.digest)}`,
      `read ${linkPath(parseRepositoryName('team/b'), '_layers', LAYER.digest)}`
    ])
  })

  t.test('a manifest by digest needs no storage, by tag the link of the tag', async t => {
    const { app, calls } = await counted(t, await options(t))
    for (const manifest of [IMAGE, PLAIN]) {
      await pushManifest(t, app, NAME, manifest, 'latest')
      await app.inject(manifestUrl(manifest.digest))
      await settled(app)
      for (const method of ['GET', 'HEAD'] as const) {
        t.same(await calls({ method, url: manifestUrl(manifest.digest) }), [])
        t.same(await calls({ method, url: manifestUrl('latest') }), [`read ${tagCurrentPath(NAME, 'latest' as Tag)}`])
      }
    }
  })

  t.test('a deleted manifest is 404 at once, by digest and by tag, and there again when it is pushed again (R-140, R-141)', async t => {
    const { app } = await counted(t, await options(t))
    for (let round = 0; round < 3; round++) {
      await pushManifest(t, app, NAME, IMAGE, 'latest')
      t.equal((await app.inject(manifestUrl(IMAGE.digest))).statusCode, 200)
      t.equal((await app.inject({ method: 'DELETE', url: manifestUrl(IMAGE.digest) })).statusCode, 202)
      for (const reference of [IMAGE.digest, 'latest']) t.same(errorCodes(t, await app.inject(manifestUrl(reference)), 404), ['MANIFEST_UNKNOWN'])
    }
  })

  t.test('a deleted blob is 404 at once under each digest, and there again when it is pushed again (R-140, R-141)', async t => {
    const { app } = await counted(t, await options(t))
    const alias = sha512(LAYER.bytes)
    for (let round = 0; round < 3; round++) {
      await pushBlob(t, app, NAME, { ...LAYER, digest: alias })
      await pushBlob(t, app, 'team/b', LAYER)
      for (const digest of [LAYER.digest, alias]) t.equal((await app.inject({ method: 'HEAD', url: blobUrl(digest) })).statusCode, 200)
      t.equal((await app.inject({ method: 'DELETE', url: blobUrl(round === 0 ? alias : LAYER.digest) })).statusCode, 202)
      for (const digest of [LAYER.digest, alias]) t.same(errorCodes(t, await app.inject(blobUrl(digest)), 404), ['BLOB_UNKNOWN'])
      t.equal((await app.inject(`/v2/team/b/blobs/${LAYER.digest}`)).statusCode, 200, 'the other repository keeps its own')
    }
  })

  t.test('a blob does not become a manifest, nor a manifest a blob', async t => {
    const { app } = await counted(t, await options(t))
    await pushManifest(t, app, NAME, IMAGE)
    const [config] = IMAGE.blobs
    for (let i = 0; i < 2; i++) {
      t.equal((await app.inject(manifestUrl(IMAGE.digest))).statusCode, 200)
      t.equal((await app.inject(blobUrl(config?.digest ?? ''))).statusCode, 200)
      t.same(errorCodes(t, await app.inject(blobUrl(IMAGE.digest)), 404), ['BLOB_UNKNOWN'])
      t.same(errorCodes(t, await app.inject(manifestUrl(config?.digest ?? '')), 404), ['MANIFEST_UNKNOWN'])
    }
  })

  t.test('a manifest that is pushed again as something else is that at once (R-144)', async t => {
    const { app } = await counted(t, await options(t))
    const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
    const type = async (): Promise<unknown> => (await app.inject(manifestUrl(PLAIN.digest))).headers['content-type']
    await pushManifest(t, app, NAME, PLAIN)
    for (const mediaType of [PLAIN.mediaType, DOCKER, PLAIN.mediaType]) {
      await pushManifest(t, app, NAME, { ...PLAIN, mediaType })
      t.equal(await type(), mediaType)
      t.equal(await type(), mediaType)
    }
  })

  t.test('content that somebody else took out of storage is 404 when it is opened, and then known to be gone', async t => {
    const { app, driver } = await counted(t, await options(t))
    await pushBlob(t, app, NAME, LAYER)
    await settled(app)
    await driver.delete(blobPath(LAYER.digest))
    t.equal((await app.inject({ method: 'HEAD', url: blobUrl(LAYER.digest) })).statusCode, 200, 'remembered; nobody looked')
    t.same(errorCodes(t, await app.inject(blobUrl(LAYER.digest)), 404), ['BLOB_UNKNOWN'])
    t.equal((await app.inject({ method: 'HEAD', url: blobUrl(LAYER.digest) })).statusCode, 404)
    await pushBlob(t, app, NAME, LAYER)
    t.equal((await app.inject(blobUrl(LAYER.digest))).body, 'a layer')
  })

  t.test('nothing is acknowledged because of what is remembered: neither a manifest nor a mount', async t => {
    const { app, driver } = await counted(t, await options(t))
    for (const content of IMAGE.blobs) await pushBlob(t, app, NAME, content)
    await settled(app)
    const [config, layer] = IMAGE.blobs
    await driver.delete(blobPath(layer?.digest ?? LAYER.digest))
    const refused = await put(app)
    t.same(errorCodes(t, refused, 400), ['MANIFEST_BLOB_UNKNOWN'])
    t.equal((await app.inject({ method: 'HEAD', url: blobUrl(layer?.digest ?? '') })).statusCode, 404, 'the client is told to send it again')
    await driver.delete(blobPath(config?.digest ?? LAYER.digest))
    t.equal((await app.inject({ method: 'POST', url: `/v2/team/b/blobs/uploads/?mount=${config?.digest ?? ''}&from=${NAME}` })).statusCode, 202)
    for (const content of IMAGE.blobs) await pushBlob(t, app, NAME, content)
    t.equal((await put(app)).statusCode, 201)
  })
}

async function put (app: FastifyInstance): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'PUT', url: manifestUrl('v1'), headers: { 'content-type': IMAGE.mediaType }, payload: IMAGE.bytes })
}

t.test('inmemory', async t => { storageCalls(t, async () => ({ cache: { blobdescriptor: 'inmemory' } })) })

t.test('redis', needs('redis-server'), async t => {
  const server = await startRedis(t)
  const client = server.client(t)
  storageCalls(t, async t => {
    await client.flushall()
    // The host's own client, so that the registry has a connection from its first request on.
    const redis = server.client(t)
    await redis.ping()
    return { cache: { blobdescriptor: 'redis' }, redis: { readtimeout: '5s' }, instances: { redis } }
  })
})
