import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import type { DeleteNotice, DeleteQuestion, ManifestContent, PolicyHooks, PullNotice, PushNotice, TagQuestion } from '../../index.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, build } from '../helpers/build.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, index, pushBlob, pushManifest } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'

const NAME = 'team/app'
const V2 = `/v2/${NAME}`
const pushed = image()
const [config, layer] = pushed.blobs as [Manifest, Manifest]
const CONFIG: unknown = JSON.parse(String(config.bytes))
const turn = async (): Promise<void> => { await new Promise<void>(resolve => { setImmediate(resolve) }) }

type App = Awaited<ReturnType<typeof build>>

async function withHooks (t: Test, hooks: PolicyHooks): Promise<App> {
  return await build(t, { ...IN_MEMORY, hooks, accessController: () => ({ user: 'ada' }) })
}

t.test('afterPull tells of what was served, with all that a hook may want to know of it', async t => {
  const told: PullNotice[] = []
  const app = await withHooks(t, { afterPull: notice => { told.push(notice) } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  await turn()
  t.same(told, [], 'not of a push')
  for (const url of [`${V2}/manifests/1.0`, `${V2}/blobs/${layer.digest}`]) {
    t.equal((await app.inject(url)).statusCode, 200)
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 200)
    t.equal((await app.inject({ url, headers: { 'if-none-match': `"${url.endsWith('1.0') ? pushed.digest : layer.digest}"` } })).statusCode, 304)
  }
  t.equal((await app.inject({ url: `${V2}/blobs/${layer.digest}`, headers: { range: 'bytes=0-1' } })).statusCode, 206)
  t.equal((await app.inject(`${V2}/manifests/none`)).statusCode, 404)
  await turn()
  t.match(told, [
    { kind: 'manifest', repository: NAME, grant: { user: 'ada' }, reference: { tag: '1.0' }, descriptor: { digest: pushed.digest, size: pushed.size }, rehearsal: false },
    { kind: 'blob', reference: { digest: layer.digest }, descriptor: { digest: layer.digest, size: layer.size } },
    { kind: 'blob', reference: { digest: layer.digest } }
  ])
  t.equal(told.length, 3)
  t.equal(told[0]?.manifest()?.layers[0]?.digest, layer.digest)
  t.same(await told[0]?.config(), CONFIG)
  t.equal(told[1]?.manifest(), undefined)
  t.equal(await told[1]?.config(), undefined)
})

t.test('afterPull is not told of a download that its client broke off, nor of one that was refused', async t => {
  const told: string[] = []
  const app = await withHooks(t, {
    beforePull: ({ reference }) => 'tag' in reference && reference.tag === 'secret' ? { deny: 'no' } : undefined,
    afterPull: ({ kind }) => { told.push(kind) }
  })
  await pushManifest(t, app, NAME, pushed, 'secret')
  const large = blob(Buffer.alloc(32 * 1024 * 1024))
  await pushBlob(t, app, NAME, large)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(`GET ${V2}/blobs/${large.digest} HTTP/1.1\r\nhost: a\r\n\r\n`)
  await once(socket, 'data')
  socket.destroy()
  await once(socket, 'close')
  t.equal((await app.inject(`${V2}/manifests/secret`)).statusCode, 403)
  t.equal((await app.inject(`${V2}/blobs/${layer.digest}`)).statusCode, 200)
  await app.close()
  t.same(told, ['blob'])
})

t.test('what is told neither delays nor fails an answer: not a hook that throws, nor one that blocks, nor one that never ends', async t => {
  let isBlocked = false
  const told: string[] = []
  const app = await build(t, {
    ...IN_MEMORY,
    policy: { hooks: { timeout: '10ms' } },
    hooks: {
      afterPull: [
        () => { isBlocked = true },
        () => { throw new Error('at once') },
        async () => { await new Promise(() => {}) },
        async () => { throw new Error('later') },
        ({ kind }) => { told.push(kind) }
      ],
      afterPush: () => { isBlocked = true }
    }
  })
  const { digest } = layer
  const answer = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/?digest=${digest}`, payload: layer.bytes })
  t.equal(answer.statusCode, 201)
  t.notOk(isBlocked, 'the answer comes first')
  t.equal((await app.inject(`${V2}/blobs/${digest}`)).statusCode, 200)
  await app.close()
  t.ok(isBlocked)
  t.same(told, ['blob'], 'the others are told all the same')
})

t.test('afterPush knows the manifest and its config; of a mount, where it came from', async t => {
  const told: PushNotice[] = []
  const app = await withHooks(t, { afterPush: notice => { told.push(notice) } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  await app.inject({ method: 'POST', url: `/v2/other/app/blobs/uploads/?mount=${layer.digest}&from=${NAME}` })
  await turn()
  t.match(told.map(({ kind, reference, from }) => ({ kind, reference, from })), [
    { kind: 'blob' }, { kind: 'blob' }, { kind: 'manifest', reference: { tag: '1.0' } }, { kind: 'mount', from: NAME }
  ])
  const manifest = told.find(({ kind }) => kind === 'manifest')
  t.equal(manifest?.manifest?.config?.digest, config.digest)
  t.same(await manifest?.config(), CONFIG)
  t.equal(await told[0]?.config(), undefined)
})

t.test('beforePull has manifest and config when it asks, and costs nothing when it does not', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const seen: unknown[] = []
  let asks = false
  const app = await build(t, {
    ...IN_MEMORY,
    instances: { driver },
    hooks: { beforePull: async ({ kind, manifest, config }) => { if (asks) seen.push(kind, manifest()?.mediaType, await config()) } }
  })
  await pushManifest(t, app, NAME, pushed, '1.0')
  const list = index([pushed])
  await pushManifest(t, app, NAME, list, 'list')
  const opened = (): number => driver.calls.filter(({ operation }) => operation === 'createReadStream').length
  const before = opened()
  await app.inject(`${V2}/manifests/1.0`)
  t.equal(opened(), before)
  asks = true
  for (const path of ['manifests/1.0', 'manifests/list', `blobs/${config.digest}`]) await app.inject(`${V2}/${path}`)
  t.same(seen, ['manifest', pushed.mediaType, CONFIG, 'manifest', list.mediaType, undefined, 'blob', undefined, undefined])
})

t.test('beforeTag knows what a push is about to tag', async t => {
  const asked: TagQuestion[] = []
  const configs: unknown[] = []
  const app = await withHooks(t, { beforeTag: async question => { asked.push(question); configs.push(await question.config()) } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  await app.inject({ method: 'DELETE', url: `${V2}/manifests/1.0` })
  t.match(asked, [{ change: 'set', descriptor: { digest: pushed.digest }, manifest: { mediaType: pushed.mediaType } }, { change: 'delete' }])
  t.equal(asked[1]?.manifest, undefined)
  t.same(configs, [CONFIG, undefined])
})

t.test('beforeDelete can look at what is to be deleted; afterDelete says which tags went with it', async t => {
  const seen: Array<{ kind: DeleteQuestion['kind'], digest: string | undefined, manifest: ManifestContent | undefined, config: unknown }> = []
  const told: DeleteNotice[] = []
  const app = await withHooks(t, {
    beforeDelete: async ({ kind, descriptor, manifest, config }) => { seen.push({ kind, digest: (await descriptor())?.digest, manifest: await manifest(), config: await config() }) },
    afterDelete: notice => { told.push(notice) }
  })
  for (const tag of ['1.0', '1.1', '1.2']) await pushManifest(t, app, NAME, pushed, tag)
  for (const path of ['manifests/1.0', `manifests/${pushed.digest}`, `blobs/${layer.digest}`, 'manifests/gone']) await app.inject({ method: 'DELETE', url: `${V2}/${path}` })
  await turn()
  const known = { digest: pushed.digest, manifest: { mediaType: pushed.mediaType }, config: CONFIG }
  t.match(seen, [{ kind: 'tag', ...known }, { kind: 'manifest', ...known }, { kind: 'blob', digest: layer.digest }, { kind: 'tag' }])
  t.same(seen.slice(2).map(({ manifest, config }) => [manifest, config]), [[undefined, undefined], [undefined, undefined]])
  t.equal(seen[3]?.digest, undefined)
  t.same(told.map(({ kind, tags }) => ({ kind, tags: [...tags].sort() })), [{ kind: 'tag', tags: ['1.0'] }, { kind: 'manifest', tags: ['1.1', '1.2'] }, { kind: 'blob', tags: [] }])
})
