import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { RegistryOptions } from '../../index.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { build } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, pushBlob, pushManifest, sha512 } from '../helpers/images.js'
import type { Blob } from '../helpers/images.js'
import { TestWorkers } from '../helpers/workers.js'

const UPLOADS = '/v2/team/app/blobs/uploads/'
const STORAGE = { inmemory: {}, delete: { enabled: true } }
const of = (letter: string, size: number): Blob => blob(letter.repeat(size))

async function withQuota (t: Test, bytes: string, options: RegistryOptions = {}): Promise<FastifyInstance> {
  return await build(t, { storage: STORAGE, http: { relativeurls: true }, policy: { quotas: [{ repositories: ['team/*'], bytes }] }, ...options })
}

async function push (app: FastifyInstance, { digest, bytes }: Pick<Blob, 'digest' | 'bytes'>, name = 'team/app'): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/?digest=${digest}`, payload: bytes })
}

function refused (t: Test, answer: LightMyRequestResponse, detail: object): void {
  t.equal(answer.statusCode, 403, answer.body)
  t.match(answer.json<ErrorBody>().errors, [{ code: 'DENIED', detail: { policy: 'policy.quotas[0]', ...detail } }])
}

t.test('a repository holds what it may, and no byte more', async t => {
  const app = await withQuota(t, '1000')
  t.equal((await push(app, of('a', 600))).statusCode, 201)
  const answer = await push(app, of('b', 401))
  refused(t, answer, { limit: 1000, used: 600, promised: 0, needed: 401 })
  t.equal(answer.json<ErrorBody>().errors[0]?.message, 'repository team/app may hold 1000: it holds 600 bytes, and this needs 401')
  t.equal((await push(app, of('b', 400))).statusCode, 201)
  refused(t, await push(app, of('c', 1)), { used: 1000, needed: 1 })
  for (const name of ['team/other', 'free']) t.equal((await push(app, of('c', 1), name)).statusCode, 201, `${name} has room of its own`)
})

t.test('content is counted once: pushed again, as another digest, or mounted', async t => {
  const app = await withQuota(t, '1000')
  const content = of('a', 600)
  for (let i = 0; i < 2; i++) t.equal((await push(app, of('b', 100))).statusCode, 201)
  t.equal((await push(app, { ...of('b', 100), digest: sha512('b'.repeat(100)) })).statusCode, 201)
  await pushBlob(t, app, 'free', content)
  const mount = async (digest: string): Promise<LightMyRequestResponse> => await app.inject({ method: 'POST', url: `${UPLOADS}?mount=${digest}&from=free` })
  for (let i = 0; i < 2; i++) t.equal((await mount(content.digest)).statusCode, 201)
  t.equal((await push(app, of('c', 300))).statusCode, 201, '100 + 600 + 300')
  const last = of('d', 1)
  await pushBlob(t, app, 'free', last)
  refused(t, await mount(last.digest), { used: 1000, needed: 1 })
  t.equal((await app.inject(`/v2/team/app/blobs/${last.digest}`)).statusCode, 404)
})

t.test('manifests count too', async t => {
  const pushed = image('quota')
  const sizes = [...pushed.blobs, pushed].reduce((total, { size }) => total + size, 0)
  const tight = await withQuota(t, String(sizes - 1))
  for (const part of pushed.blobs) await pushBlob(t, tight, 'team/app', part)
  const put = { method: 'PUT', url: '/v2/team/app/manifests/1', headers: { 'content-type': pushed.mediaType }, payload: pushed.bytes } as const
  refused(t, await tight.inject(put), { needed: pushed.size })
  t.equal((await tight.inject('/v2/team/app/manifests/1')).statusCode, 404)
  const exact = await withQuota(t, String(sizes))
  await pushManifest(t, exact, 'team/app', pushed, '1')
  t.equal((await exact.inject(put)).statusCode, 201, 'pushed again it needs nothing')
})

t.test('what is deleted gives its room back', async t => {
  const app = await withQuota(t, '1000')
  for (const [digest, content] of [[of('a', 900).digest, of('a', 900)], [sha512('b'.repeat(900)), of('b', 900)]] as const) {
    t.equal((await push(app, { ...content, digest })).statusCode, 201)
    refused(t, await push(app, of('c', 101)), { used: 900 })
    t.equal((await app.inject({ method: 'DELETE', url: `/v2/team/app/blobs/${digest}` })).statusCode, 202)
  }
  t.equal((await push(app, of('c', 1000))).statusCode, 201)
})

t.test('what storage holds at the start is counted', async t => {
  const driver = new MemoryDriver()
  const pushed = image('before')
  await pushManifest(t, await build(t, { storage: STORAGE, instances: { driver } }), 'team/app', pushed, '1')
  const used = [...pushed.blobs, pushed].reduce((total, { size }) => total + size, 0)
  const app = await withQuota(t, String(used), { instances: { driver } })
  refused(t, await push(app, of('x', 1)), { used })
})

t.test('pushes at the same time do not exceed it together, in one process or in several', async t => {
  const driver = new MemoryDriver()
  const workers = new TestWorkers()
  const apps = await Promise.all([1, 2].map(async () => await withQuota(t, '1000', { instances: { driver, workers: await workers.join(2) } })))
  const answers = await Promise.all(Array.from({ length: 40 }, async (_, i) => await push(apps[i % 2] as FastifyInstance, blob(`${i} `.padEnd(90, 'x')))))
  const accepted = answers.filter(({ statusCode }) => statusCode === 201).length
  t.ok(accepted >= 1 && accepted <= 11, `${accepted} of 90 bytes`)
  t.equal(answers.filter(({ statusCode }) => statusCode === 403).length, 40 - accepted)
  t.equal((await driver.list('/docker/registry/v2/repositories/team/app/_layers/sha256')).length, accepted)
  // When all of them are over, what is left can be used.
  for (let i = accepted; i < 11; i++) t.equal((await push(apps[0] as FastifyInstance, blob(`later ${i} `.padEnd(90, 'x')))).statusCode, 201)
  refused(t, await push(apps[1] as FastifyInstance, of('y', 11)), { used: 990, promised: 0 })
})

t.test('a push that fails or is refused leaves nothing promised', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const app = await withQuota(t, '1000', { instances: { driver } })
  t.equal((await push(app, { digest: of('a', 1).digest, bytes: of('b', 900).bytes })).statusCode, 400, 'another digest')
  driver.before = ({ operation }) => { if (operation === 'move') throw new Error('the disk is gone') }
  t.equal((await push(app, of('c', 900))).statusCode, 500)
  driver.before = () => {}
  refused(t, await push(app, of('d', 1001)), { used: 0, promised: 0 })
  t.equal((await push(app, of('e', 1000))).statusCode, 201)
})

t.test('an upload in pieces is held to it by what it holds in all', async t => {
  const app = await withQuota(t, '1000')
  const location = async (): Promise<string> => String((await app.inject({ method: 'POST', url: UPLOADS })).headers.location)
  const patch = async (url: string, size: number): Promise<LightMyRequestResponse> => await app.inject({ method: 'PATCH', url, payload: 'x'.repeat(size) })
  const [first, second] = [await location(), await location()]
  const begun = await patch(first, 700)
  t.equal(begun.statusCode, 202)
  refused(t, await patch(second, 301), { used: 0, promised: 700, needed: 301 })
  t.equal((await app.inject(second)).statusCode, 404, 'it is over')
  t.equal((await app.inject({ method: 'DELETE', url: String(begun.headers.location) })).statusCode, 204)
})

t.test('storage that cannot be counted is no reason to let a push in', async t => {
  const driver = new FaultDriver(new MemoryDriver())
  const app = await withQuota(t, '1000', { instances: { driver } })
  driver.before = ({ operation }) => { if (operation === 'list') throw new Error('down') }
  const answer = await push(app, of('a', 1))
  t.equal(answer.statusCode, 403)
  t.match(answer.json<ErrorBody>().errors, [{ detail: { policy: 'policy.quotas[0]', cause: 'error' } }])
  driver.before = () => {}
  t.equal((await push(app, of('a', 1))).statusCode, 201)
})

t.test('several quotas for one repository all hold, and count a push once each', async t => {
  const pushed = image('quota')
  const sizes = [...pushed.blobs, pushed].reduce((total, { size }) => total + size, 0)
  const app = await withQuota(t, '1', { policy: { quotas: [{ bytes: String(sizes + 10) }, { bytes: String(sizes) }] } })
  await pushManifest(t, app, 'team/app', pushed, '1')
  for (const part of pushed.blobs) t.equal((await app.inject({ method: 'POST', url: `${UPLOADS.replace('app', 'other')}?mount=${part.digest}&from=team/app` })).statusCode, 201)
  const answer = await push(app, of('x', 1))
  t.match(answer.json<ErrorBody>().errors, [{ detail: { policy: 'policy.quotas[1]', promised: 0 } }])
})

t.test('in audit mode it is exceeded, and counted all the same', async t => {
  const app = await withQuota(t, '10', { policy: { quotas: [{ bytes: '10', audit: true }, { bytes: '100' }] } })
  t.equal((await push(app, of('a', 60))).statusCode, 201)
  const answer = await push(app, of('b', 41))
  t.equal(answer.statusCode, 403)
  t.match(answer.json<ErrorBody>().errors, [{ detail: { policy: 'policy.quotas[1]', used: 60 } }])
})
