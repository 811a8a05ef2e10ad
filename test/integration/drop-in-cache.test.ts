import { join } from 'node:path'
import { rm } from 'node:fs/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { Redis } from 'ioredis'
import { startRegistry } from '../../testing.js'
import { parseRepositoryName } from '../../services/reference/reference.js'
import { linkPath } from '../../services/registry/layout.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { needs } from '../helpers/clients.js'
import { blob, image } from '../helpers/images.js'
import type { Blob } from '../helpers/images.js'
import { startRedis } from '../helpers/redis.js'

// Docker's registry and ours with one Redis and one data directory, as in a migration.
const skip = needs('docker-registry', 'redis-server')

interface Both { readonly docker: string, readonly ours: string, readonly client: Redis, readonly data: string }

async function both (t: Test): Promise<Both> {
  const server = await startRedis(t)
  const client = server.client(t)
  const directory = t.testdir({})
  const data = join(directory, 'data')
  const docker = await startDockerRegistry(t, directory, data, {}, { storage: { cache: { blobdescriptor: 'redis' } }, redis: { addr: server.addr } })
  const host = server.client(t)
  await host.ping()
  const ours = await startRegistry({
    storage: { filesystem: { rootdirectory: data }, delete: { enabled: true }, cache: { blobdescriptor: 'redis' } },
    redis: { addr: server.addr, readtimeout: '5s' },
    instances: { redis: host }
  })
  t.teardown(async () => { await ours.close() })
  return { docker: docker.url, ours: ours.url, client, data }
}

async function pushBlob (t: Test, url: string, name: string, { bytes, digest }: Blob): Promise<void> {
  const started = await fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', url)
  location.searchParams.set('digest', digest)
  const { status } = await fetch(location, { method: 'PUT', body: bytes, headers: { 'content-type': 'application/octet-stream' } })
  t.equal(status, 201)
}

async function status (url: string, method = 'HEAD'): Promise<number> {
  return (await fetch(url, { method })).status
}

async function keys (client: Redis): Promise<Record<string, unknown>> {
  const names = (await client.keys('*')).sort()
  return Object.fromEntries(await Promise.all(names.map(async key => {
    return [key, await client.type(key) === 'set' ? (await client.smembers(key)).sort() : await client.hgetall(key)] as const
  })))
}

t.test('what we write is what docker\'s registry writes, byte for byte', skip, async t => {
  const { docker, ours, client } = await both(t)
  const written = []
  for (const url of [docker, ours]) {
    await client.flushall()
    for (const [name, content] of [['a', 'one'], ['team/b', 'one'], ['a', 'two'], ['a', '']] as const) await pushBlob(t, url, name, blob(content))
    t.equal(await status(`${url}/v2/a/blobs/${blob('one').digest}`), 200)
    written.push(await keys(client))
  }
  t.ok(Object.keys(written[0] ?? {}).length > 5)
  t.same(written[1], written[0])
  await client.flushall()
  for (const [i, url] of [docker, ours].entries()) {
    await client.flushall()
    t.equal(await status(`${url}/v2/a/blobs/${blob('one').digest}`), 200)
    written[i] = await keys(client)
  }
  t.same(written[1], written[0], 'also what is only read')
})

t.test('each believes what the other one wrote', skip, async t => {
  const { docker, ours, data } = await both(t)
  for (const [writer, reader] of [[docker, ours], [ours, docker]] as const) {
    const content = blob(`from ${writer}`)
    await pushBlob(t, writer, 'a', content)
    // Without its link only the cache knows that it is there.
    await rm(join(data, linkPath(parseRepositoryName('a'), '_layers', content.digest)))
    t.equal(await status(`${reader}/v2/a/blobs/${content.digest}`), 200)
    t.equal(await status(`${reader}/v2/b/blobs/${content.digest}`), 404, 'and only there')
  }
})

t.test('what one deletes the other one does not show', skip, async t => {
  const { docker, ours } = await both(t)
  for (const [deleter, other] of [[ours, docker], [docker, ours]] as const) {
    const content = blob(`deleted by ${deleter}`)
    await pushBlob(t, other, 'a', content)
    for (const url of [deleter, other]) t.equal(await status(`${url}/v2/a/blobs/${content.digest}`), 200)
    t.equal(await status(`${deleter}/v2/a/blobs/${content.digest}`, 'DELETE'), 202)
    for (const url of [other, deleter]) t.equal(await status(`${url}/v2/a/blobs/${content.digest}`), 404)
    await pushBlob(t, deleter, 'a', content)
    for (const url of [other, deleter]) t.equal(await status(`${url}/v2/a/blobs/${content.digest}`), 200)
  }
})

t.test('where the other repository keeps it: we take the membership out, docker\'s registry 2.8 leaves it to come back', skip, async t => {
  const { docker, ours } = await both(t)
  const answers = []
  for (const deleter of [ours, docker]) {
    const content = blob(`twice, ${deleter}`)
    for (const name of ['a', 'b']) await pushBlob(t, ours, name, content)
    t.equal(await status(`${deleter}/v2/a/blobs/${content.digest}`, 'DELETE'), 202)
    // Reading it in b fills what both repositories share.
    t.equal(await status(`${docker}/v2/b/blobs/${content.digest}`), 200)
    answers.push(await status(`${docker}/v2/a/blobs/${content.digest}`))
  }
  t.same(answers, [404, 200])
})

t.test('a manifest that docker\'s registry deletes is gone by tag at once; by digest it is remembered here for a while', skip, async t => {
  const { docker, ours, client } = await both(t)
  const manifest = image()
  for (const content of manifest.blobs) await pushBlob(t, ours, 'a', content)
  await fetch(`${ours}/v2/a/manifests/latest`, { method: 'PUT', body: manifest.bytes, headers: { 'content-type': manifest.mediaType } })
  t.equal(await status(`${docker}/v2/a/manifests/${manifest.digest}`, 'DELETE'), 202)
  t.equal(await status(`${ours}/v2/a/manifests/latest`), 404)
  t.equal(await status(`${ours}/v2/a/manifests/${manifest.digest}`), 200)
  const left = await client.pttl('repository::a::revisions')
  t.ok(left > 0 && left <= 600_000, 'ten minutes at most')
})

t.test('a manifest is no blob of the repository, whoever pushed it', skip, async t => {
  const { docker, ours, client } = await both(t)
  for (const url of [ours, docker]) {
    const manifest = image(`by ${url}`)
    for (const content of manifest.blobs) await pushBlob(t, url, 'a', content)
    const { status: pushed } = await fetch(`${url}/v2/a/manifests/latest`, { method: 'PUT', body: manifest.bytes, headers: { 'content-type': manifest.mediaType } })
    t.equal(pushed, 201)
    for (const reader of [ours, docker]) {
      for (let i = 0; i < 2; i++) {
        t.equal((await fetch(`${reader}/v2/a/manifests/${manifest.digest}`, { headers: { accept: manifest.mediaType } })).status, 200)
        t.equal(await status(`${reader}/v2/a/blobs/${manifest.digest}`), 404)
      }
    }
    t.notOk((await client.smembers('repository::a::blobs')).includes(manifest.digest))
  }
})
