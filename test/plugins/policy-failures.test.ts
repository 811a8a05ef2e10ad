import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { ForwardingManifestStore, ForwardingNamespace, registry } from '../../index.js'
import type { ManifestPut, ManifestPutResult, PolicyHooks, RegistryHandle, RegistryOptions, Repository, RepositoryName } from '../../index.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { blob, image, pushManifest } from '../helpers/images.js'

const NAME = 'team/app'
const V2 = `/v2/${NAME}`
const pushed = image()
const layer = blob('a layer')

interface Line { readonly msg: string, readonly level: number, readonly rule?: string, readonly reason?: string, readonly user?: string }

/** A registry whose log is kept. */
async function logged (t: Test, options: RegistryOptions): Promise<{ app: FastifyInstance, lines: Line[] }> {
  const lines: Line[] = []
  const app = Fastify({ logger: { level: 'info', stream: { write: (line: string) => { lines.push(JSON.parse(line) as Line) } } } })
  t.teardown(async () => { await app.close() })
  await app.register(registry, { ...IN_MEMORY, ...options })
  await app.ready()
  return { app, lines }
}

const failing: PolicyHooks = {
  beforePush: function noLicence () { throw new Error('the licence server is down') },
  beforePull: async () => { throw new Error('the scanner is down') },
  beforeDelete: () => { throw new Error('down') },
  beforeTag: () => { throw new Error('down') }
}

t.test('a hook that throws refuses pushes and deletes, and tells the client no more than that', async t => {
  const { app, lines } = await logged(t, { hooks: failing })
  const post = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/` })
  t.same(errorCodes(t, post, 403), ['DENIED'])
  t.same(post.json<ErrorBody>().errors[0], { code: 'DENIED', message: 'refused, because a policy could not be asked', detail: { policy: 'hooks.beforePush[0] (noLicence)', cause: 'error' } })
  t.same(errorCodes(t, await app.inject({ method: 'DELETE', url: `${V2}/manifests/1.0` }), 403), ['DENIED'])
  t.match(lines.find(({ msg }) => msg === 'a policy could not be asked'), { level: 50, rule: 'hooks.beforePush[0] (noLicence)', err: { message: 'the licence server is down' } })
})

t.test('what becomes of a pull whose hook fails is configured', async t => {
  for (const [failedreads, status] of [[undefined, 403], ['deny', 403], ['allow', 200]] as const) {
    const hooks: PolicyHooks = { beforePull: failing.beforePull as NonNullable<PolicyHooks['beforePull']> }
    const app = await build(t, { ...IN_MEMORY, hooks, ...(failedreads === undefined ? {} : { policy: { hooks: { failedreads } } }) })
    await pushManifest(t, app, NAME, pushed, '1.0')
    t.equal((await app.inject(`${V2}/manifests/1.0`)).statusCode, status)
  }
})

t.test('a hook that takes too long has refused, and is told to stop', async t => {
  let reason: unknown
  const app = await build(t, {
    ...IN_MEMORY,
    policy: { hooks: { timeout: '20ms' } },
    hooks: {
      beforePush: async ({ signal }) => {
        await new Promise<void>(resolve => { signal.addEventListener('abort', () => { reason = signal.reason; resolve() }) })
      }
    }
  })
  const answer = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/` })
  t.same(errorCodes(t, answer, 403), ['DENIED'])
  t.match(answer.json<ErrorBody>().errors[0]?.detail, { policy: 'hooks.beforePush[0]', cause: 'timeout' })
  t.match(reason, { message: 'no answer within 20 ms' })
})

t.test('in audit mode nothing is refused, also not by a hook that fails; the log says what would be', async t => {
  const { app, lines } = await logged(t, {
    policy: { audit: true },
    hooks: { ...failing, beforeManifest: () => ({ deny: 'not signed' }), beforeTag: () => ({ deny: 'immutable' }) },
    instances: { accessController: { authorize: () => ({ user: 'ada' }) } }
  })
  await pushManifest(t, app, NAME, pushed, '1.0')
  t.equal((await app.inject(`${V2}/manifests/1.0`)).statusCode, 200)
  t.equal((await app.inject({ method: 'DELETE', url: `${V2}/manifests/1.0` })).statusCode, 202)
  t.match(lines.find(({ reason }) => reason === 'not signed'), { level: 30, msg: 'a policy would refuse this', rule: 'hooks.beforeManifest[0]', hook: 'beforeManifest', repository: NAME, user: 'ada', code: 'DENIED' })
  t.equal(lines.filter(({ msg }) => msg === 'refused by a policy').length, 0)
})

t.test('what was refused, would have been, and failed is counted for the debug server', async t => {
  let handle: RegistryHandle | undefined
  const app = await build(t, {
    ...IN_MEMORY,
    hooks: { beforePush: [({ repository }) => repository === NAME ? { deny: 'no' } : undefined, () => { throw new Error('down') }] },
    onReady: given => { handle = given }
  })
  for (const name of [NAME, NAME, 'other/app']) await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/` })
  t.same(handle?.debug.read()['policy'], {
    'hooks.beforePush[0]': { denied: 2, audited: 0, failed: 0 },
    'hooks.beforePush[1]': { denied: 1, audited: 0, failed: 1 }
  })
})

t.test('a middleware cannot get around the policy: one that forgets the review is an error of ours', async t => {
  class Forgetful extends ForwardingManifestStore {
    override put (bytes: Buffer, { mediaType, reference }: ManifestPut): Promise<ManifestPutResult> {
      return super.put(bytes, { mediaType, reference })
    }
  }
  class ForgetfulNamespace extends ForwardingNamespace {
    override repository (name: RepositoryName): Repository {
      const { manifests, ...rest } = super.repository(name)
      return { ...rest, manifests: new Forgetful(manifests) }
    }
  }
  const hooks: PolicyHooks = { beforeManifest: () => ({ deny: 'no' }) }
  const outside = await build(t, { ...IN_MEMORY, hooks, instances: { middleware: { repository: [({ manifests, ...rest }) => ({ ...rest, manifests: new Forgetful(manifests) })] } } })
  const inside = await build(t, {
    ...IN_MEMORY,
    hooks,
    instances: {
      middleware: {
        registry: [namespace => new ForgetfulNamespace(namespace)]
      }
    }
  })
  for (const [app, status] of [[outside, 403], [inside, 500]] as const) {
    for (const part of pushed.blobs) await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/?digest=${part.digest}`, payload: part.bytes })
    const answer = await app.inject({ method: 'PUT', url: `${V2}/manifests/1.0`, headers: { 'content-type': pushed.mediaType }, payload: pushed.bytes })
    t.equal(answer.statusCode, status)
  }
})

t.test('what is no verdict lets nothing pass', async t => {
  for (const answer of [false, true, 0, '', 'no', [], {}, { allow: false }, { deny: true }, { limit: 5 }]) {
    const hook = (() => answer) as unknown as () => undefined
    const app = await build(t, { ...IN_MEMORY, hooks: { beforePush: hook } })
    const response = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/` })
    t.same(errorCodes(t, response, 403), ['DENIED'], JSON.stringify(answer))
    t.match(response.json<ErrorBody>().errors[0]?.detail, { cause: 'error' })
  }
})

t.test('in audit mode an upload that is over a limit is logged once, however many pieces it comes in', async t => {
  const { app, lines } = await logged(t, { policy: { audit: true }, hooks: { beforePush: () => ({ limit: () => ({ deny: 'too large' }) }) } })
  const bytes = Buffer.alloc(3 * 1024 * 1024)
  const { digest } = blob(bytes)
  t.equal((await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/?digest=${digest}`, payload: bytes })).statusCode, 201)
  t.equal(lines.filter(({ reason }) => reason === 'too large').length, 1)
})

t.test('a limit refuses an upload by its declared length, and ends it', async t => {
  const asked: number[] = []
  const app = await build(t, { ...IN_MEMORY, hooks: { beforePush: () => ({ limit: bytes => { asked.push(bytes); return bytes > 4 ? { deny: 'more than 4 bytes' } : undefined } }) } })
  const answer = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/?digest=${layer.digest}`, payload: layer.bytes })
  t.same(errorCodes(t, answer, 403), ['DENIED'])
  t.same(asked, [layer.size], 'asked once, before the first byte')
  const { headers: { location } } = await app.inject({ method: 'POST', url: `${V2}/blobs/uploads/` })
  const first = await app.inject({ method: 'PATCH', url: String(location), payload: 'abcd' })
  t.equal(first.statusCode, 202)
  t.same(errorCodes(t, await app.inject({ method: 'PATCH', url: String(first.headers.location), payload: 'e' }), 403), ['DENIED'])
  t.same(errorCodes(t, await app.inject(String(first.headers.location)), 404), ['BLOB_UPLOAD_UNKNOWN'])
})
