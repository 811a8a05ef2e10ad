import { Readable } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import errorsPlugin from '../../plugins/errors.js'
import routingPlugin from '../../plugins/routing.js'
import { resource } from '../../routes/resource.js'
import type { AccessController, AccessRecord, AccessRequest, Grant } from '../../services/auth/access.js'
import { OciError } from '../../services/errors/oci-error.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import { blob, image, pushBlob, pushManifest, sha256 } from '../helpers/images.js'
import { FaultDriver } from '../helpers/fault-driver.js'

const UUID = '00000000-0000-4000-8000-000000000000'
const DIGEST = sha256('x')
const CHALLENGE = 'Bearer realm="https://auth.example/token",service="registry"'

interface Asked { readonly request: AccessRequest, readonly records: readonly AccessRecord[] }

/** Writes down what it is asked; `decide` answers. */
class RecordingController implements AccessController {
  readonly asked: Asked[] = []
  decide: (asked: Asked) => Grant | Promise<Grant> = () => ({})

  authorize (request: AccessRequest, records: readonly AccessRecord[]): Grant | Promise<Grant> {
    this.asked.push({ request, records })
    return this.decide({ request, records })
  }

  /** The records of the last question, as the scopes of a token would show them. */
  get scopes (): string[] | undefined {
    return this.asked.at(-1)?.records.map(({ type, name, action }) => `${type}:${name}:${action}`)
  }
}

async function controlled (t: Test, driver = new MemoryDriver()): Promise<{ app: FastifyInstance, controller: RecordingController }> {
  const controller = new RecordingController()
  return { app: await build(t, { ...IN_MEMORY, instances: { driver, accessController: controller } }), controller }
}

function refuse (error: Error): () => never {
  return () => { throw error }
}

const unauthorized = new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': CHALLENGE } })

/** Every method on every resource, and what its caller must be allowed to do. */
const pull = ['repository:team/app:pull']
const pushing = ['repository:team/app:pull', 'repository:team/app:push']
const remove = ['repository:team/app:delete']
const mount = (from: string): string => `/blobs/uploads/?mount=${DIGEST}&from=${from}`
const REQUESTS = [
  ['GET', '/manifests/1.0', pull],
  ['HEAD', '/manifests/1.0', pull],
  ['PUT', '/manifests/1.0', pushing],
  ['DELETE', '/manifests/1.0', remove],
  ['DELETE', `/manifests/${DIGEST}`, remove],
  ['GET', `/blobs/${DIGEST}`, pull],
  ['HEAD', `/blobs/${DIGEST}`, pull],
  ['DELETE', `/blobs/${DIGEST}`, remove],
  ['POST', '/blobs/uploads/', pushing],
  ['POST', '/blobs/uploads', pushing],
  ['POST', `/blobs/uploads/?digest=${DIGEST}`, pushing],
  ['POST', mount('team/base'), [...pushing, 'repository:team/base:pull']],
  ['POST', mount('team%2Fbase'), [...pushing, 'repository:team/base:pull']],
  ['POST', `${mount('team/base')}&from=team/second`, [...pushing, 'repository:team/base:pull']],
  ['POST', mount('team/app'), pushing],
  ['POST', mount('UPPER'), pushing],
  ['POST', '/blobs/uploads/?mount=x&from=team/base', pushing],
  ['POST', '/blobs/uploads/?from=team/base', pushing],
  ['GET', `/blobs/uploads/${UUID}`, pull],
  ['HEAD', `/blobs/uploads/${UUID}`, pull],
  ['PATCH', `/blobs/uploads/${UUID}`, pushing],
  ['PUT', `/blobs/uploads/${UUID}?digest=${DIGEST}&mount=${DIGEST}&from=team/base`, pushing],
  ['DELETE', `/blobs/uploads/${UUID}`, pushing],
  ['GET', '/tags/list', pull],
  ['HEAD', '/tags/list', pull],
  ['GET', `/referrers/${DIGEST}`, pull],
  ['HEAD', `/referrers/${DIGEST}`, pull]
] as const

for (const [method, tail, scopes] of REQUESTS) {
  t.test(`${method} ${tail} needs ${scopes.join(' and ')} (R-126, R-134)`, async t => {
    const { app, controller } = await controlled(t)
    for (const name of ['team/app', 'team%2Fapp', 'te%61m/app']) {
      controller.asked.length = 0
      await app.inject({ method, url: `/v2/${name}${tail}`, headers: { authorization: 'Bearer abc' } })
      t.equal(controller.asked.length, 1, name)
      t.same(controller.scopes, scopes)
      t.match(controller.asked[0]?.request, { method, headers: { authorization: 'Bearer abc' } })
    }
  })

  t.test(`a refused ${method} ${tail} reaches its client with the challenge and touches no storage (R-043, R-247, R-248)`, async t => {
    const driver = new FaultDriver(new MemoryDriver())
    const controller = new RecordingController()
    controller.decide = refuse(unauthorized)
    const app = await build(t, { ...IN_MEMORY, instances: { driver, accessController: controller } })
    const response = await app.inject({ method, url: `/v2/team/app${tail}`, ...(method === 'PUT' || method === 'PATCH' || method === 'POST' ? { payload: 'x' } : {}) })
    t.equal(response.headers['www-authenticate'], CHALLENGE)
    if (method === 'HEAD') t.equal(response.statusCode, 401)
    else t.same(errorCodes(t, response, 401), ['UNAUTHORIZED'])
    t.same(driver.calls, [])
  })
}

t.test('the base asks for credentials and nothing more, and so says who is let in (R-043, R-044)', async t => {
  const { app, controller } = await controlled(t)
  for (const method of ['GET', 'HEAD'] as const) {
    for (const url of ['/v2/', '/v2']) {
      t.equal((await app.inject({ method, url })).statusCode, 200)
      t.equal(controller.asked.at(-1)?.request.method, method)
      t.same(controller.asked.at(-1)?.records, [])
    }
  }
  t.equal(controller.asked.length, 4)
  controller.decide = refuse(unauthorized)
  for (const url of ['/v2/', '/v2']) {
    const response = await app.inject(url)
    t.same(errorCodes(t, response, 401), ['UNAUTHORIZED'])
    t.equal(response.headers['www-authenticate'], CHALLENGE)
  }
})

t.test('the catalog needs registry:catalog:* (R-239, R-240)', async t => {
  const { app, controller } = await controlled(t)
  for (const method of ['GET', 'HEAD'] as const) {
    controller.asked.length = 0
    await app.inject({ method, url: '/v2/_catalog' })
    t.same(controller.asked.map(({ records }) => records), [[{ type: 'registry', name: 'catalog', action: '*' }]])
  }
  controller.decide = refuse(unauthorized)
  t.same(errorCodes(t, await app.inject('/v2/_catalog'), 401), ['UNAUTHORIZED'])
})

t.test('what no resource has is answered without asking, because nothing is shown', async t => {
  const { app, controller } = await controlled(t)
  t.equal((await app.inject('/v2/nowhere')).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url: '/v2/team/app/manifests/1.0' })).statusCode, 405)
  t.same(controller.asked, [])
})

t.test('an invalid name is refused before the controller is asked', async t => {
  const { app, controller } = await controlled(t)
  controller.decide = refuse(unauthorized)
  for (const name of ['UPPER/x', 'a//b', 'a%2F%2Fb', '..%2Fx', 'a%00b']) {
    t.same(errorCodes(t, await app.inject(`/v2/${name}/manifests/1.0`), 400), ['NAME_INVALID'], name)
  }
  t.same(controller.asked, [])
})

t.test('a controller is asked before any byte of the body is read', async t => {
  const { app, controller } = await controlled(t)
  for (const [method, tail] of [['PUT', '/manifests/1.0'], ['POST', `/blobs/uploads/?digest=${DIGEST}`], ['PATCH', `/blobs/uploads/${UUID}`], ['PUT', `/blobs/uploads/${UUID}`]] as const) {
    let wasRead = false
    let readWhenAsked: boolean | undefined
    const payload = new Readable({ read () { wasRead = true; this.push('x'); this.push(null) } })
    controller.decide = async () => {
      // Whoever reads ahead does so within a few turns of the loop.
      for (let i = 0; i < 5; i++) await new Promise(resolve => { setImmediate(resolve) })
      readWhenAsked = wasRead
      throw unauthorized
    }
    const response = await app.inject({ method, url: `/v2/team/app${tail}`, payload, headers: { 'content-type': 'application/json' } })
    t.same(errorCodes(t, response, 401), ['UNAUTHORIZED'])
    t.equal(readWhenAsked, false, `${method} ${tail}`)
  }
})

t.test('a controller may take its time, and what it allows is done', async t => {
  const { app, controller } = await controlled(t)
  controller.decide = async () => {
    await new Promise(resolve => { setImmediate(resolve) })
    return { user: 'ann' }
  }
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, '1.0')
  t.same((await app.inject('/v2/team/app/manifests/1.0')).rawPayload, manifest.bytes)
})

t.test('a refusal for what exists and for what does not is the same (R-248)', async t => {
  const { app, controller } = await controlled(t)
  await pushManifest(t, app, 'team/app', image(), '1.0')
  controller.decide = refuse(new OciError('DENIED'))
  const bodies = await Promise.all(['/v2/team/app/manifests/1.0', '/v2/team/app/manifests/2.0', '/v2/no/such/manifests/1.0'].map(async url => {
    const response = await app.inject(url)
    t.same(errorCodes(t, response, 403), ['DENIED'])
    return response.body
  }))
  t.equal(new Set(bodies).size, 1)
})

t.test('access is decided before a switched off method is told apart', async t => {
  const controller = new RecordingController()
  controller.decide = refuse(unauthorized)
  const app = await build(t, { storage: { inmemory: {}, maintenance: { readonly: { enabled: true } } }, instances: { accessController: controller } })
  t.same(errorCodes(t, await app.inject({ method: 'DELETE', url: '/v2/team/app/manifests/1.0' }), 401), ['UNAUTHORIZED'])
})

t.test('a mount whose source may not be pulled is refused as a whole (R-134)', async t => {
  const { app, controller } = await controlled(t)
  const content = blob('secret')
  await pushBlob(t, app, 'team/secret', content)
  controller.decide = ({ records }) => {
    if (records.some(({ name }) => name === 'team/secret')) throw unauthorized
    return {}
  }
  const url = `/v2/team/app/blobs/uploads/?mount=${content.digest}`
  const named = await app.inject({ method: 'POST', url: `${url}&from=team/secret` })
  t.same(errorCodes(t, named, 401), ['UNAUTHORIZED'])
  t.equal(named.headers['www-authenticate'], CHALLENGE)
  t.equal((await app.inject(`/v2/team/app/blobs/${content.digest}`)).statusCode, 404)
})

t.test('a mount without a source tells nothing of repositories the caller may not pull from (R-130)', async t => {
  const { app, controller } = await controlled(t)
  const content = blob('secret')
  await pushBlob(t, app, 'team/secret', content)
  controller.decide = ({ records }) => {
    if (records.some(({ name }) => name === 'team/secret')) throw new OciError('DENIED')
    return {}
  }
  const start = async (digest: string) => await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?mount=${digest}` })
  const [existing, absent] = [await start(content.digest), await start(DIGEST)]
  for (const response of [existing, absent]) {
    t.equal(response.statusCode, 202)
    t.same(Object.keys(response.headers).sort(), Object.keys(absent.headers).sort())
  }
  t.equal((await app.inject(`/v2/team/app/blobs/${content.digest}`)).statusCode, 404)
})

t.test('a controller that breaks is a 500 that says nothing of why', async t => {
  for (const failure of [new Error('ldap://secret-host refused'), new TypeError('x is not a function'), Object.assign(new Error('secret'), { statusCode: 502 })]) {
    for (const decide of [refuse(failure), async () => await Promise.reject(failure)]) {
      const { app, controller } = await controlled(t)
      controller.decide = decide
      const response = await app.inject('/v2/team/app/manifests/1.0')
      t.same(errorCodes(t, response, 500), ['UNKNOWN'])
      t.same(response.json(), { errors: [{ code: 'UNKNOWN', message: 'unknown error' }] })
    }
  }
})

t.test('an anonymous mount with a controller that breaks is a 500, not a silent upload', async t => {
  const { app, controller } = await controlled(t)
  const content = blob('shared')
  await pushBlob(t, app, 'team/base', content)
  controller.decide = ({ records }) => {
    if (records.some(({ name }) => name === 'team/base')) throw new Error('ldap is down')
    return {}
  }
  const response = await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?mount=${content.digest}` })
  t.same(errorCodes(t, response, 500), ['UNKNOWN'])
})

/** Not async: awaiting an application boots it. */
function scope (t: Test, register: (scope: FastifyInstance) => void): FastifyInstance {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  void app.register(async scope => {
    await scope.register(errorsPlugin)
    await scope.register(routingPlugin)
    register(scope)
  })
  return app
}

t.test('a route that declares no access fails the boot', async t => {
  const routes = [
    { method: 'GET', url: '/v2/x' },
    { method: ['GET', 'PUT'], url: '/v2/*', config: {} },
    { method: 'POST', url: '/v2/*', constraints: { ociResource: 'upload' }, config: { ociResource: 'upload' } }
  ] as const
  for (const route of routes) {
    const app = scope(t, scope => { scope.route({ ...route, method: [route.method].flat(), handler: async () => '' }) })
    await t.rejects(Promise.resolve(app.ready()), { message: /declares no access/ })
  }
})

t.test('a route that declares its access boots and answers', async t => {
  const app = scope(t, scope => {
    scope.route({ ...resource('tags'), method: 'GET', handler: async ({ params }) => params })
    scope.route({ method: 'GET', url: '/v2/open', config: { ociAccess: 'public' }, handler: async () => 'open' })
  })
  t.same((await app.inject('/v2/a%2Fb/tags/list')).json(), { name: 'a/b', reference: '' })
  t.equal((await app.inject('/v2/open')).body, 'open')
})
