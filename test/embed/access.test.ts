import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { ConfigError, OciError, registry } from '../../index.js'
import type { AccessController, Authorize } from '../../index.js'
import type { RegistryOptions } from '../../registry.js'
import { IN_MEMORY, errorCodes } from '../helpers/build.js'
import { image, pushManifest } from '../helpers/images.js'

/** What a host keeps with its requests. */
type WithSession = FastifyRequest & { session: { user: string, teams: string[] } | null }

/** A host whose users have sessions, by a cookie. */
async function host (t: Test, options: RegistryOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.decorateRequest('session', null)
  app.addHook('onRequest', async request => {
    const user = /user=(\w+)/.exec(request.headers.cookie ?? '')?.[1]
    if (user !== undefined) (request as WithSession).session = { user, teams: ['team'] }
  })
  await app.register(registry, { ...IN_MEMORY, ...options })
  await app.ready()
  return app
}

const bySession: Authorize<FastifyRequest> = async (request, records) => {
  const { session } = request as WithSession
  await new Promise(resolve => { setImmediate(resolve) })
  if (session === null) throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Cookie realm="host"' } })
  for (const { type, name, action } of records) {
    if (type === 'repository' && !session.teams.includes(name.split('/')[0] ?? '')) throw new OciError('DENIED', { message: `${session.user} is not in this team`, detail: { action } })
  }
  return { user: session.user, groups: session.teams, visible: { mayPull: async name => session.teams.includes(name.split('/')[0] ?? '') } }
}

t.test('a host decides by its own session: as a function or an object, at the top or among the instances', async t => {
  const object: AccessController<FastifyRequest> = { authorize: bySession }
  for (const options of [{ accessController: bySession }, { accessController: object }, { instances: { accessController: bySession } }, { instances: { accessController: object } }]) {
    const app = await host(t, options)
    t.same(errorCodes(t, await app.inject('/v2/team/app/tags/list'), 401), ['UNAUTHORIZED'])
    t.same(errorCodes(t, await app.inject({ url: '/v2/team/app/tags/list', headers: { cookie: 'user=ann' } }), 404), ['NAME_UNKNOWN'])
    const denied = await app.inject({ url: '/v2/other/app/tags/list', headers: { cookie: 'user=ann' } })
    t.equal(denied.statusCode, 403)
    t.same(denied.json(), { errors: [{ code: 'DENIED', message: 'ann is not in this team', detail: { action: 'pull' } }] })
  }
})

t.test('the catalog lists what the host says is visible, and everything when it says nothing', async t => {
  let visible: ((name: string) => boolean | Promise<boolean>) | undefined
  const app = await host(t, { accessController: () => visible === undefined ? {} : { visible: { mayPull: visible } } })
  for (const name of ['a', 'b/c', 'd']) await pushManifest(t, app, name, image(name), '1.0')
  const catalog = async (query = ''): Promise<unknown> => {
    const response = await app.inject(`/v2/_catalog${query}`)
    return [response.json<{ repositories: string[] }>().repositories, response.headers.link]
  }
  t.same(await catalog(), [['a', 'b/c', 'd'], undefined])
  visible = async name => name !== 'b/c'
  t.same(await catalog(), [['a', 'd'], undefined])
  t.same(await catalog('?n=1'), [['a'], '</v2/_catalog?last=a&n=1>; rel="next"'])
  visible = () => false
  t.same(await catalog(), [[], undefined])
})

t.test('what a host throws reaches the client as what it is; what breaks is a 500 that tells nothing', async t => {
  let thrown: unknown
  const app = await host(t, { accessController: () => { throw thrown } })
  const table: Array<[unknown, number, string]> = [
    [new OciError('DENIED', { detail: 'no licence' }), 403, 'DENIED'],
    [new OciError('UNAUTHORIZED', { status: 401 }), 401, 'UNAUTHORIZED'],
    [new OciError('TOOMANYREQUESTS'), 429, 'TOOMANYREQUESTS'],
    [Object.assign(new Error('not yours'), { statusCode: 403 }), 403, 'DENIED'],
    [new Error('ldap://secret is down'), 500, 'UNKNOWN'],
    ['a text', 500, 'UNKNOWN'],
    [undefined, 500, 'UNKNOWN']
  ]
  for (const [error, status, code] of table) {
    thrown = error
    const response = await app.inject('/v2/a/tags/list')
    t.same(errorCodes(t, response, status), [code])
    t.notMatch(response.body, 'secret')
  }
})

t.test('a controller that forgets to answer lets nobody in', async t => {
  for (const answer of [undefined, null, false, true]) {
    const app = await host(t, { accessController: (async () => answer) as never })
    t.equal((await app.inject('/v2/')).statusCode, 500, String(answer))
  }
})

t.test('two sources of rules are a mistake, and none of the host\'s is closed', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  void app.register(registry, { ...IN_MEMORY, auth: { silly: { realm: 'r', service: 's' } }, accessController: () => ({}) })
  await t.rejects(Promise.resolve(app.ready()), ConfigError)

  let closed = false
  const controller: AccessController<FastifyRequest> = { authorize: () => ({}), close: async () => { closed = true } }
  const other = Fastify()
  await other.register(registry, { ...IN_MEMORY, auth: { none: {} }, accessController: controller })
  t.equal((await other.inject('/v2/')).statusCode, 200)
  await other.close()
  t.notOk(closed)
})
