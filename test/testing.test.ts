import t from 'tap'
import type { Test } from 'tap'
import { ConfigError } from '../index.js'
import { artifact, blob, image, index, startRegistry } from '../testing.js'
import type { TestRegistry } from '../testing.js'
import { writeOciLayout } from './helpers/oci-layout.js'

async function status (registry: TestRegistry, path: string, init?: RequestInit): Promise<number> {
  const response = await fetch(`${registry.url}${path}`, init)
  await response.arrayBuffer()
  return response.status
}

async function push (t: Test, registry: TestRegistry, repository: string, content: ReturnType<typeof blob>): Promise<void> {
  t.equal(await status(registry, `/v2/${repository}/blobs/uploads/?digest=${content.digest}`, { method: 'POST', body: content.bytes }), 201)
}

t.test('a registry listens on loopback, is empty, allows deletes, and is gone at the end of its block', async t => {
  let url
  {
    await using registry = await startRegistry()
    url = registry.url
    t.equal(registry.url, `http://${registry.host}`)
    t.match(registry.host, /^127\.0\.0\.1:\d+$/)
    t.same(await (await fetch(`${registry.url}/v2/_catalog`)).json(), { repositories: [] })
    const [seeded] = await registry.seed(image(), 'team/app:1.0')
    t.equal(await status(registry, `/v2/team/app/manifests/${String(seeded?.digest)}`, { method: 'DELETE' }), 202)
    t.equal(await status(registry, '/v2/team/app/manifests/1.0'), 404)
  }
  await t.rejects(fetch(url))
})

t.test('options that cannot be used are an error of the configuration', async t => {
  await t.rejects(startRegistry({ storage: { inmemory: {}, filesystem: {} } }), ConfigError)
})

t.test('a fixture is pulled as it was built, with all that it refers to', async t => {
  await using registry = await startRegistry()
  const top = index([image({ architecture: 'amd64', layers: [{ 'srv/': '', 'srv/one': 'one' }, 'two'] }), image({ architecture: 'arm64', variant: 'v8' })])
  const sbom = artifact({ artifactType: 'application/vnd.example.sbom', subject: top, annotations: { made: 'now' } })
  const [seeded] = await registry.seed(top, 'team/app:1.0')
  await registry.seed(sbom, 'team/app')
  t.match(seeded, { repository: 'team/app', tag: '1.0', digest: top.digest, mediaType: top.mediaType, size: top.size })
  const response = await fetch(`${registry.url}/v2/team/app/manifests/1.0`, { headers: { accept: top.mediaType } })
  t.equal(response.headers.get('docker-content-digest'), top.digest)
  t.same(Buffer.from(await response.arrayBuffer()), top.bytes)
  t.match(JSON.parse(top.bytes.toString()), { manifests: [{ platform: { architecture: 'amd64', os: 'linux' } }, { platform: { architecture: 'arm64', variant: 'v8' } }] })
  for (const child of top.manifests) {
    t.equal(await status(registry, `/v2/team/app/manifests/${child.digest}`), 200)
    for (const { digest } of child.blobs) t.equal(await status(registry, `/v2/team/app/blobs/${digest}`), 200)
  }
  const referrers = await (await fetch(`${registry.url}/v2/team/app/referrers/${top.digest}`)).json()
  t.match(referrers, { manifests: [{ digest: sbom.digest, artifactType: 'application/vnd.example.sbom', annotations: { made: 'now' } }] })
})

t.test('a layout directory is seeded with its tags, or the one that is asked for', async t => {
  await using registry = await startRegistry()
  const directory = t.testdir()
  const layout = await writeOciLayout(directory, { tag: '2.0', architectures: ['amd64', 'arm64'], layerBytes: 1000 })
  t.match(await registry.seed(directory, 'team/app'), [{ tag: '2.0', digest: layout.index.digest }])
  t.match(await registry.seed(directory, 'other:latest'), [{ tag: 'latest', digest: layout.index.digest }])
  t.same(await (await fetch(`${registry.url}/v2/team/app/tags/list`)).json(), { name: 'team/app', tags: ['2.0'] })
  for (const { digest } of layout.layers) t.equal(await status(registry, `/v2/other/blobs/${digest}`), 200)
})

t.test('what is no valid image is not seeded', async t => {
  await using registry = await startRegistry()
  const whole = image()
  await t.rejects(registry.seed({ ...whole, blobs: [] }, 'team/app:1.0'), { code: 'MANIFEST_BLOB_UNKNOWN' })
  await t.rejects(registry.seed({ ...whole, bytes: Buffer.from('{}') }, 'team/app:1.0'), { code: /MANIFEST_INVALID|DIGEST_INVALID/ })
  const [config, layer] = whole.blobs as [typeof whole.blobs[0], typeof whole.blobs[0]]
  await t.rejects(registry.seed({ ...whole, blobs: [config, { ...layer, bytes: Buffer.from('other') }] }, 'team/app:1.0'), { code: 'DIGEST_INVALID' })
  await t.rejects(registry.seed(whole, 'Team/app:1.0'), { code: 'NAME_INVALID' })
  await t.rejects(registry.seed(whole, 'team/app:'), { code: 'TAG_INVALID' })
  await t.rejects(registry.seed(t.testdir(), 'team/app'), /index\.json/)
  await t.rejects(registry.seed(t.testdir({ 'index.json': '{}' }), 'team/app'), /no OCI layout/)
  t.same(await (await fetch(`${registry.url}/v2/_catalog`)).json(), { repositories: [] })
})

t.test('seeding goes past rules, faults, records and events', async t => {
  await using registry = await startRegistry({ accessController: () => { throw new Error('nobody') }, hooks: { beforePush: () => ({ deny: 'closed' }) } })
  const fault = registry.fail({ as: 500, times: Infinity })
  await registry.seed(image(), 'team/app:1.0')
  t.same([registry.requests, registry.events.all, fault.hits], [[], [], 0])
})

t.test('an event that has happened is taken, one that has not is waited for, each once', async t => {
  await using registry = await startRegistry()
  const [one, two] = [blob('one'), blob('two')]
  await push(t, registry, 'team/app', one)
  t.equal((await registry.events.next('push')).target.digest, one.digest)
  const waited = registry.events.next('push', { where: ({ target }) => target.repository === 'team/other' })
  await push(t, registry, 'team/app', two)
  await push(t, registry, 'team/other', two)
  t.equal((await waited).target.repository, 'team/other')
  t.equal((await registry.events.next('push')).target.repository, 'team/app')
  await t.rejects(registry.events.next('push', { timeout: 1 }), /^no push within 1 ms; the last that happened: push team\/app@sha256:/)
  t.equal(registry.events.all.length, 3)
})

t.test('who waits for an event hears that the registry was closed', async t => {
  const registry = await startRegistry()
  const waited = t.rejects(registry.events.next('delete'), /closed before there was a delete/)
  await registry.close()
  await waited
})

t.test("a host's own onReady and middleware are called as well", async t => {
  const called: string[] = []
  await using registry = await startRegistry({
    onReady: () => { called.push('ready') },
    instances: { middleware: { registry: [namespace => { called.push('middleware'); return namespace }] } }
  })
  t.same(called, ['middleware', 'ready'])
  t.match(await registry.handle.garbageCollection.runOnce(), Object)
})

t.test('requests are recorded with their status and without secrets', async t => {
  await using registry = await startRegistry()
  await status(registry, '/v2/team/app/tags/list?n=1', { headers: { authorization: 'Bearer s3cret', cookie: 's3cret', 'x-own': '1' } })
  await status(registry, '/v2/', { headers: { authorization: 's3cret' } })
  t.match(registry.requests, [
    { method: 'GET', path: '/v2/team/app/tags/list?n=1', status: 404, headers: { authorization: 'Bearer ***', cookie: '***', 'x-own': '1' } },
    { method: 'GET', path: '/v2/', status: 200, headers: { authorization: '***' } }
  ])
  t.notMatch(JSON.stringify(registry.requests), /s3cret/)
  registry.requests.length = 0
  await status(registry, '/')
  t.equal(registry.requests.length, 1)
})

for (const blobdescriptor of [undefined, 'inmemory'] as const) {
  t.test(`a snapshot is gone back to as often as wanted, with ${blobdescriptor ?? 'no'} cache`, async t => {
    await using registry = await startRegistry({
      storage: { inmemory: {}, delete: { enabled: true }, ...(blobdescriptor === undefined ? {} : { cache: { blobdescriptor } }) }
    })
    const [kept, later] = [image({ layers: ['kept'] }), image({ layers: ['later'] })]
    await registry.seed(kept, 'team/app:1.0')
    const snapshot = registry.snapshot()
    for (let round = 0; round < 2; round++) {
      await registry.seed(later, 'team/app:1.0')
      await registry.seed(kept, 'team/other:1.0')
      t.equal(await status(registry, `/v2/team/app/manifests/${kept.digest}`, { method: 'DELETE' }), 202)
      for (const { digest } of kept.blobs) t.equal(await status(registry, `/v2/team/app/blobs/${digest}`, { method: 'DELETE' }), 202)
      t.equal(await status(registry, `/v2/team/other/blobs/${String(kept.blobs[1]?.digest)}`), 200)

      await registry.restore(snapshot)
      const response = await fetch(`${registry.url}/v2/team/app/manifests/1.0`)
      t.same(Buffer.from(await response.arrayBuffer()), kept.bytes)
      for (const { digest } of kept.blobs) {
        t.equal(await status(registry, `/v2/team/app/blobs/${digest}`), 200)
        t.equal(await status(registry, `/v2/team/other/blobs/${digest}`), 404)
      }
      t.equal(await status(registry, `/v2/team/app/manifests/${later.digest}`), 404)
      t.same(await (await fetch(`${registry.url}/v2/_catalog`)).json(), { repositories: ['team/app'] })
    }
  })
}

t.test('an upload that was under way goes on where it was at the snapshot', async t => {
  await using registry = await startRegistry({ http: { relativeurls: true } })
  const content = blob('onetwo')
  const started = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const patch = async (location: string | null, body: string): Promise<Response> => await fetch(`${registry.url}${String(location)}`, { method: 'PATCH', body })
  const first = await patch(started.headers.get('location'), 'one')
  const snapshot = registry.snapshot()
  t.equal((await patch(first.headers.get('location'), 'TWO')).status, 202)
  await registry.restore(snapshot)
  const second = await patch(first.headers.get('location'), 'two')
  t.equal(second.status, 202)
  t.equal(await status(registry, `${String(second.headers.get('location'))}?digest=${content.digest}`, { method: 'PUT' }), 201)
})

t.test('storage that is not its own has no snapshots', async t => {
  await using registry = await startRegistry({ storage: { filesystem: { rootdirectory: t.testdir() } } })
  t.throws(() => registry.snapshot(), TypeError)
})
