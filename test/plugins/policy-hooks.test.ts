import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { OciError } from '../../index.js'
import type { DeleteQuestion, ManifestQuestion, PolicyHooks, PullQuestion, PushNotice, PushQuestion, RegistryOptions, TagQuestion } from '../../index.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, index, pushBlob, pushManifest } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'

const NAME = 'team/app'
const V2 = `/v2/${NAME}`
const pushed = image()
const [config, layer] = pushed.blobs as [Manifest, Manifest]

async function withHooks (t: Test, hooks: PolicyHooks, options: RegistryOptions = {}): Promise<FastifyInstance> {
  return await build(t, { ...IN_MEMORY, ...options, hooks })
}

async function putManifest (app: FastifyInstance, manifest: Manifest, reference: string, query = '') {
  return await app.inject({ method: 'PUT', url: `${V2}/manifests/${reference}${query}`, headers: { 'content-type': manifest.mediaType }, payload: manifest.bytes })
}

t.test('a hook refuses with code, reason and detail, in the order in which hooks are given', async t => {
  const asked: string[] = []
  const app = await withHooks(t, {
    beforeManifest: [
      () => { asked.push('first') },
      async () => { asked.push('second'); return { deny: 'no manifests on Fridays', detail: { day: 5 } } },
      () => { asked.push('third') }
    ]
  })
  for (const part of pushed.blobs) await pushBlob(t, app, NAME, part)
  const answer = await putManifest(app, pushed, '1.0')
  t.same(errorCodes(t, answer, 403), ['DENIED'])
  t.same(answer.json<ErrorBody>().errors, [{ code: 'DENIED', message: 'no manifests on Fridays', detail: { day: 5 } }])
  t.same(asked, ['first', 'second'])
  const other = await withHooks(t, { beforePush: () => ({ deny: 'slower', code: 'TOOMANYREQUESTS' }) })
  t.same(errorCodes(t, await other.inject({ method: 'POST', url: `${V2}/blobs/uploads/` }), 429), ['TOOMANYREQUESTS'])
})

t.test('beforeManifest is asked when everything is verified, and nothing of a refused manifest is stored', async t => {
  const questions: ManifestQuestion[] = []
  const driver = new FaultDriver(new MemoryDriver())
  const app = await withHooks(t, { beforeManifest: question => { questions.push(question); return { deny: 'no' } } }, { instances: { driver } })
  const incomplete = await putManifest(app, pushed, '1.0')
  t.same(errorCodes(t, incomplete, 400), ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
  t.same(errorCodes(t, await putManifest(app, pushed, blob('other').digest), 400), ['DIGEST_INVALID'])
  t.same(questions, [], 'not asked about what is not valid')
  for (const part of pushed.blobs) await pushBlob(t, app, NAME, part)
  const before = driver.calls.length
  t.same(errorCodes(t, await putManifest(app, pushed, '1.0'), 403), ['DENIED'])
  t.same(driver.calls.slice(before).filter(({ operation }) => !['read', 'stat'].includes(operation)), [])
  const [question] = questions
  t.match(question, { repository: NAME, reference: { tag: '1.0' }, tags: ['1.0'], rehearsal: false, canonical: pushed.digest })
  t.same(question?.descriptor, { mediaType: pushed.mediaType, digest: pushed.digest, size: pushed.size })
  t.equal(question?.manifest.config?.digest, config.digest)
  t.same(question?.manifest.layers.map(({ digest }) => digest), [layer.digest])
})

t.test('the config of an image is read when a hook asks for it, once', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const seen: unknown[] = []
  const app = await withHooks(t, {
    beforeManifest: [
      async ({ config, sizeOf, manifest }) => { seen.push(await config(), await sizeOf(layer.digest), manifest.mediaType) },
      async ({ config }) => { seen.push(await config()) }
    ]
  }, { instances: { driver } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  t.same(seen, [JSON.parse(String(config.bytes)), layer.size, pushed.mediaType, JSON.parse(String(config.bytes))])
  t.equal(driver.calls.filter(({ operation }) => operation === 'createReadStream').length, 1)
  const list = index([pushed])
  t.equal((await putManifest(app, list, 'list')).statusCode, 201)
  t.equal(seen[4], undefined, 'an index has none')
})

t.test('beforeTag is asked for every way in which a tag changes', async t => {
  const asked: Array<Pick<TagQuestion, 'tag' | 'change' | 'digest'> & { current: string | undefined }> = []
  const app = await withHooks(t, {
    beforeTag: async ({ tag, change, digest, current }) => {
      asked.push({ tag, change, ...(digest === undefined ? {} : { digest }), current: await current() })
      return tag.startsWith('locked') ? { deny: `${tag} is locked` } : undefined
    }
  })
  await pushManifest(t, app, NAME, pushed, '1.0')
  t.same(asked.splice(0), [{ tag: '1.0', change: 'set', digest: pushed.digest, current: undefined }])
  t.equal((await putManifest(app, pushed, pushed.digest, '?tag=a&tag=b')).statusCode, 201)
  t.same(asked.splice(0).map(({ tag, change }) => `${change} ${tag}`), ['set a', 'set b'])
  t.same(errorCodes(t, await putManifest(app, pushed, pushed.digest, '?tag=c&tag=locked'), 403), ['DENIED'])
  t.equal((await app.inject(`${V2}/manifests/c`)).statusCode, 404, 'all or nothing')
  asked.length = 0
  t.equal((await app.inject({ method: 'DELETE', url: `${V2}/manifests/a` })).statusCode, 202)
  t.same(asked.splice(0), [{ tag: 'a', change: 'delete', current: pushed.digest }])
  t.equal((await app.inject({ method: 'DELETE', url: `${V2}/manifests/${pushed.digest}` })).statusCode, 202)
  t.same(asked.splice(0).map(({ tag, change }) => `${change} ${tag}`), ['delete 1.0', 'delete b'])
})

t.test('beforePush is asked at each stage of an upload, and about a mount', async t => {
  const asked: PushQuestion[] = []
  const app = await withHooks(t, { beforePush: question => { asked.push(question) } })
  await pushBlob(t, app, NAME, layer)
  t.match(asked.splice(0), [{ stage: 'start', digest: layer.digest }, { stage: 'finish', digest: layer.digest, descriptor: { digest: layer.digest, size: layer.size } }])
  const { headers: { location } } = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/` })
  const patched = await app.inject({ method: 'PATCH', url: String(location), payload: config.bytes })
  await app.inject({ method: 'PUT', url: `${String(patched.headers.location)}?digest=${config.digest}` })
  t.same(asked.map(({ stage }) => stage), ['start', 'resume', 'resume', 'finish'])
  t.equal(new Set(asked.slice(1).map(({ upload }) => upload)).size, 1)
  asked.length = 0
  t.equal((await app.inject({ method: 'POST', url: `/v2/other/app/blobs/uploads/?mount=${layer.digest}&from=${NAME}` })).statusCode, 201)
  t.match(asked, [{ stage: 'mount', repository: 'other/app', from: NAME, digest: layer.digest, descriptor: { size: layer.size } }])
})

t.test('a blob that beforePush refuses at the end is not there, and neither is its upload', async t => {
  const app = await withHooks(t, { beforePush: ({ stage }) => stage === 'finish' ? { deny: 'a known bad layer' } : undefined })
  const { headers: { location } } = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/` })
  t.same(errorCodes(t, await app.inject({ method: 'PUT', url: `${String(location)}?digest=${layer.digest}`, payload: layer.bytes }), 403), ['DENIED'])
  t.same(errorCodes(t, await app.inject(`${V2}/blobs/${layer.digest}`), 404), ['BLOB_UNKNOWN'])
  t.same(errorCodes(t, await app.inject(String(location)), 404), ['BLOB_UPLOAD_UNKNOWN'])
})

t.test('beforePull is asked about manifests and blobs that are here, and about the source of a mount', async t => {
  const asked: PullQuestion[] = []
  let deny = false
  const app = await withHooks(t, { beforePull: question => { asked.push(question); return deny ? { deny: 'quarantined' } : undefined } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  for (const url of [`${V2}/manifests/none`, `${V2}/blobs/${blob('none').digest}`]) t.equal((await app.inject(url)).statusCode, 404)
  t.same(asked, [])
  for (const method of ['GET', 'HEAD'] as const) {
    t.equal((await app.inject({ method, url: `${V2}/manifests/1.0` })).statusCode, 200)
    t.equal((await app.inject({ method, url: `${V2}/blobs/${layer.digest}` })).statusCode, 200)
  }
  t.match(asked.splice(0), Array(2).fill([
    { kind: 'manifest', reference: { tag: '1.0' }, descriptor: { digest: pushed.digest }, bytes: pushed.bytes },
    { kind: 'blob', reference: { digest: layer.digest }, descriptor: { size: layer.size } }
  ]).flat())
  deny = true
  t.same(errorCodes(t, await app.inject(`${V2}/manifests/1.0`), 403), ['DENIED'])
  t.same(errorCodes(t, await app.inject(`${V2}/blobs/${layer.digest}`), 403), ['DENIED'])
  asked.length = 0
  const mount = await app.inject({ method: 'POST', url: `/v2/other/app/blobs/uploads/?mount=${layer.digest}&from=${NAME}` })
  t.equal(mount.statusCode, 202, 'the client has to send the bytes')
  t.match(asked, [{ repository: NAME, kind: 'blob' }])
})

t.test('beforeDelete is asked about blobs, manifests and tags', async t => {
  const asked: Array<Pick<DeleteQuestion, 'kind' | 'reference'>> = []
  const app = await withHooks(t, { beforeDelete: ({ kind, reference }) => { asked.push({ kind, reference }); return { deny: 'kept for the auditors' } } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  for (const path of ['manifests/1.0', `manifests/${pushed.digest}`, `blobs/${layer.digest}`]) {
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url: `${V2}/${path}` }), 403), ['DENIED'])
    t.equal((await app.inject(`${V2}/${path}`)).statusCode, 200)
  }
  t.same(asked, [
    { kind: 'tag', reference: { tag: '1.0' } },
    { kind: 'manifest', reference: { digest: pushed.digest } },
    { kind: 'blob', reference: { digest: layer.digest } }
  ])
})

t.test('remarks become Warning headers, on every kind of answer', async t => {
  const app = await withHooks(t, {
    beforeManifest: () => ({ warn: ['old base image', 'say "please"\n'] }),
    beforePull: () => ({ warn: 'deprecated: use ü 2.0' }),
    beforeDelete: () => ({ warn: 'x'.repeat(5000) })
  })
  for (const part of pushed.blobs) await pushBlob(t, app, NAME, part)
  t.same((await putManifest(app, pushed, '1.0')).headers['warning'], ['299 - "old base image"', '299 - "say \\"please\\"?"'])
  const plain = image('plain', { mediaType: undefined })
  for (const part of plain.blobs) await pushBlob(t, app, NAME, part)
  t.same((await putManifest(app, plain, '2.0')).headers['warning'], ['299 - "the manifest does not state its mediaType"', '299 - "old base image"', '299 - "say \\"please\\"?"'])
  t.same((await app.inject(`${V2}/manifests/1.0`)).headers['warning'], ['299 - "deprecated: use ? 2.0"'])
  t.equal((await app.inject({ method: 'DELETE', url: `${V2}/manifests/1.0` })).headers['warning'], undefined, 'longer than all warnings may be')
})

t.test('hooks know who asks', async t => {
  const users: unknown[] = []
  const app = await withHooks(t, { beforePush: ({ grant }) => { users.push(grant.user) } }, { instances: { accessController: { authorize: () => ({ user: 'ada' }) } } })
  await pushBlob(t, app, NAME, layer)
  t.same(users, ['ada', 'ada'])
})

t.test('afterPush and afterDelete tell what was done, and only that; nobody waits for them', async t => {
  const told: string[] = []
  let release: () => void = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  const note = ({ kind, descriptor, tags }: PushNotice): void => { told.push(`${kind} ${descriptor.digest} ${tags.join()}`) }
  const app = await withHooks(t, {
    beforeTag: ({ tag }) => tag === 'no' ? { deny: 'no' } : undefined,
    afterPush: [note, async () => { await held }, () => { throw new Error('nobody hears of this') }],
    afterDelete: ({ kind }) => { told.push(`deleted ${kind}`) }
  }, { policy: { hooks: { timeout: '1h' } } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  t.equal((await putManifest(app, pushed, 'no')).statusCode, 403)
  await app.inject({ method: 'POST', url: `/v2/other/app/blobs/uploads/?mount=${layer.digest}&from=${NAME}` })
  await app.inject({ method: 'DELETE', url: `${V2}/manifests/1.0` })
  await app.inject({ method: 'DELETE', url: `${V2}/manifests/gone` })
  await new Promise(resolve => { setImmediate(resolve) })
  t.same(told, [`blob ${config.digest} `, `blob ${layer.digest} `, `manifest ${pushed.digest} 1.0`, `mount ${layer.digest} `, 'deleted tag'])
  let isClosed = false
  const closing = app.close().then(() => { isClosed = true })
  await new Promise(resolve => { setImmediate(resolve) })
  t.notOk(isClosed, 'closing waits for what is being told')
  release()
  await closing
})

t.test('onEnd says what became of it', async t => {
  const ends: string[] = []
  const app = await withHooks(t, {
    beforePush: ({ stage, onEnd }) => { onEnd(done => { ends.push(`${stage} ${String(done)}`) }) },
    beforeTag: ({ tag, onEnd }) => { onEnd(async done => { ends.push(`${tag} ${String(done)}`) }); return tag === 'no' ? { deny: 'no' } : undefined }
  })
  await pushBlob(t, app, NAME, layer)
  t.same(ends.splice(0), ['finish true', 'start true'])
  const wrong = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/?digest=${layer.digest}`, payload: config.bytes })
  t.equal(wrong.statusCode, 400)
  t.same(ends.splice(0), ['start false'])
  await pushManifest(t, app, NAME, pushed, '1.0')
  await putManifest(app, pushed, 'no')
  t.same(ends.filter(line => !line.startsWith('start') && !line.startsWith('finish')), ['1.0 true', 'no false'])
})

t.test('an OciError below 500 that a hook throws is a refusal as any other', async t => {
  const app = await withHooks(t, { beforePull: () => { throw new OciError('MANIFEST_UNKNOWN', { detail: 'hidden' }) } })
  await pushManifest(t, app, NAME, pushed, '1.0')
  t.same(errorCodes(t, await app.inject(`${V2}/manifests/1.0`), 404), ['MANIFEST_UNKNOWN'])
})
