import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { MemoryDriver } from '../../services/storage/memory.js'
import { build } from '../helpers/build.js'
import { blob, image, pushBlob, pushManifest } from '../helpers/images.js'
import { workerGroup } from '../helpers/worker-group.js'

const LAYER = blob('a layer')
const IMAGE = image('workers')
const PLAIN = image('plain', { mediaType: undefined })
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'

/** Several workers of one server, each with an inmemory cache. */
async function workers (t: Test, count = 3): Promise<FastifyInstance[]> {
  const driver = new MemoryDriver()
  const group = workerGroup(count)
  return await Promise.all(group.map(async worker => await build(t, {
    storage: { delete: { enabled: true }, cache: { blobdescriptor: 'inmemory' } }, instances: { driver, workers: worker }
  })))
}

async function statuses (apps: readonly FastifyInstance[], url: string): Promise<number[]> {
  return await Promise.all(apps.map(async app => (await app.inject({ method: 'HEAD', url })).statusCode))
}

t.test('what one worker deletes is 404 in all of them when it is acknowledged, and 200 again after a push to any (R-119, R-140, R-141)', async t => {
  const apps = await workers(t)
  for (const [i, app] of apps.entries()) {
    await pushBlob(t, app, 'a', LAYER)
    await pushManifest(t, app, 'a', IMAGE, 'latest')
    const urls = [`/v2/a/blobs/${LAYER.digest}`, `/v2/a/manifests/${IMAGE.digest}`]
    for (const url of urls) {
      t.same(await statuses(apps, url), [200, 200, 200])
      t.equal((await apps[(i + 1) % 3]?.inject({ method: 'DELETE', url }))?.statusCode, 202)
      t.same(await statuses(apps, url), [404, 404, 404])
    }
    t.same(await statuses(apps, '/v2/a/manifests/latest'), [404, 404, 404])
  }
})

t.test('a manifest that one worker takes as something else is that in all of them (R-144)', async t => {
  const apps = await workers(t)
  const url = `/v2/a/manifests/${PLAIN.digest}`
  const types = async (): Promise<unknown[]> => await Promise.all(apps.map(async app => (await app.inject(url)).headers['content-type']))
  for (const mediaType of [PLAIN.mediaType, DOCKER, PLAIN.mediaType]) {
    await pushManifest(t, apps[0] as FastifyInstance, 'a', { ...PLAIN, mediaType })
    t.same(await types(), [mediaType, mediaType, mediaType])
    t.same(await types(), [mediaType, mediaType, mediaType])
  }
})

t.test('a tag that one worker moves is where it is for all of them on the next request', async t => {
  const apps = await workers(t)
  const url = '/v2/a/manifests/latest'
  for (const [i, manifest] of [IMAGE, PLAIN, IMAGE].entries()) {
    await pushManifest(t, apps[i] as FastifyInstance, 'a', manifest, 'latest')
    for (const app of apps) t.equal((await app.inject(url)).headers['docker-content-digest'], manifest.digest)
  }
})
