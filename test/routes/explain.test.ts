import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { Explanation, PolicyHooks, RegistryHandle, RegistryOptions } from '../../index.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { basic, htpasswdFile } from '../helpers/auth.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import { image, pushManifest, sha256 } from '../helpers/images.js'

const pushed = image('explained')
const as = (user: string): { authorization: string } => ({ authorization: basic(user, user) })

/** Passwords are the names. */
async function auth (t: Test): Promise<NonNullable<RegistryOptions['auth']>> {
  const access = [
    { repositories: ['**'], actions: ['pull' as const], anonymous: true },
    { repositories: ['**'], actions: ['*' as const], users: ['root'] },
    { repositories: ['prod/**'], actions: ['pull' as const, 'push' as const], groups: ['ci'] }
  ]
  return { htpasswd: { realm: 'r', path: await htpasswdFile(t, { root: 'root', ann: 'ann' }), groups: { ci: ['ann'] }, access } }
}

const POLICY: RegistryOptions['policy'] = {
  immutabletags: [{ repositories: ['prod/**'], tags: ['v*'] }, { repositories: ['dev/**'], audit: true }],
  quotas: [{ repositories: ['prod/**'], bytes: '1MB' }, { repositories: ['prod/full'], bytes: '1' }],
  annotations: [{ repositories: ['prod/**'], untagged: true, required: ['team'] }]
}

/** A registry over a storage that has prod/app:v1 and dev/app:v1, and the way to ask it. */
async function explained (t: Test, options: RegistryOptions): Promise<{ app: FastifyInstance, at: (question: string) => Promise<Explanation> }> {
  const driver = new MemoryDriver()
  const before = await build(t, { ...IN_MEMORY, instances: { driver } })
  for (const name of ['prod/app', 'dev/app', 'prod/full']) await pushManifest(t, before, name, pushed, 'v1')
  let handle: RegistryHandle | undefined
  const app = await build(t, { ...IN_MEMORY, ...options, instances: { ...options.instances, driver }, onReady: given => { handle = given } })
  return {
    app,
    /** `push prod/app v1 ann`; a dash is no reference. */
    at: async question => {
      const [action, repository, reference = '-', user] = question.split(' ')
      const what = reference === '-' ? {} : { reference: reference.includes(':') ? { digest: reference } : { tag: reference } }
      return await (handle as RegistryHandle).explain({ action, repository, user, ...what } as Parameters<RegistryHandle['explain']>[0])
    }
  }
}

t.test('it says which rule decides and why, without doing it', async t => {
  const { app, at } = await explained(t, { auth: await auth(t), policy: POLICY })
  const table: Array<[question: string, decidedBy: string]> = [
    ['pull dev/app v1', 'allow auth.htpasswd.access[0]: lets somebody without credentials pull'],
    ['pull dev/app none', 'deny storage: there is no such manifest or tag'],
    ['push dev/app v1', 'deny auth.htpasswd.access: no rule lets somebody without credentials push'],
    ['push dev/app v1 ann', 'deny auth.htpasswd.access: no rule lets ann in ci push'],
    ['push prod/app v1 ann', `deny policy.immutabletags[0]: tag v1 of prod/app is immutable: only ${pushed.digest} can be pushed to it`],
    ['push prod/app v2 ann', 'depends policy.quotas[0]: watches how much is pushed'],
    ['push prod/full v2 ann', `deny policy.quotas[1]: repository prod/full may hold 1: it holds ${image('explained').blobs.reduce((total, { size }) => total + size, pushed.size)} bytes, and this needs 1`],
    [`push prod/app ${pushed.digest} ann`, 'deny policy.annotations[0]: annotations are missing: team'],
    [`push prod/app ${sha256('new')} ann`, 'depends policy.quotas[0]: watches how much is pushed'],
    ['push dev/app v1 root', 'allow auth.htpasswd.access[0]: lets root pull'],
    ['delete prod/app v1 ann', 'deny auth.htpasswd.access: no rule lets ann in ci delete'],
    ['delete prod/app v1 root', 'deny policy.immutabletags[0]: tag v1 of prod/app is immutable: it cannot be deleted'],
    [`delete prod/app ${pushed.digest} root`, 'deny policy.immutabletags[0]: tag v1 of prod/app is immutable: it cannot be deleted'],
    ['delete prod/app none root', 'deny storage: there is no such manifest or tag'],
    ['delete dev/app v1 root', 'allow auth.htpasswd.access[1]: lets root delete']
  ]
  for (const [question, expected] of table) {
    const { decision, decidedBy: { rule, reason } } = await at(question)
    t.equal(`${decision} ${rule}: ${reason}`, expected, question)
  }
  t.match((await at('push dev/app v1 root')).findings, [
    { rule: 'auth.htpasswd.access[0]', decision: 'allow', reason: 'lets root pull' },
    { rule: 'auth.htpasswd.access[1]', decision: 'allow', reason: 'lets root push' },
    { rule: 'policy.immutabletags[1]', decision: 'allow', reason: /^would refuse, and is in audit mode: tag v1 of dev\/app is immutable/ }
  ])
  for (const name of ['prod/app', 'dev/app']) t.equal((await app.inject(`/v2/${name}/manifests/v1`)).headers['docker-content-digest'], pushed.digest)
})

t.test('hooks are asked in a rehearsal, and neither counted nor refused', async t => {
  const rehearsals: boolean[] = []
  const hooks: PolicyHooks = {
    beforePull: [({ rehearsal }) => { rehearsals.push(rehearsal); return { warn: 'old' } }, function quarantine () { return { deny: 'quarantined' } }],
    beforeDelete: () => { throw new Error('the database is down') },
    beforePush: () => ({ limit: () => undefined })
  }
  const { at } = await explained(t, { hooks })
  t.same((await at('pull dev/app v1')).findings, [
    { rule: 'auth', decision: 'allow', reason: 'there is no access control' },
    { rule: 'hooks.beforePull[0]', decision: 'allow', reason: 'remarks: old' },
    { rule: 'hooks.beforePull[1] (quarantine)', decision: 'deny', reason: 'quarantined' }
  ])
  t.same(rehearsals, [true])
  t.same((await at('delete dev/app v1')).decidedBy, { rule: 'hooks.beforeDelete[0]', decision: 'deny', reason: 'it could not be asked: the database is down' })
  t.same((await at('push dev/app')).decidedBy, { rule: 'hooks.beforePush[0]', decision: 'depends', reason: 'watches how much is pushed' })
  t.same((await at('pull dev/app')).decidedBy, { rule: 'hooks.beforePull[0]', decision: 'depends', reason: 'is asked about what is pulled' })
})

t.test('what is switched off, and controllers that cannot be asked, are named', async t => {
  const storage = { inmemory: {}, maintenance: { readonly: { enabled: true } } }
  const readOnly = await explained(t, { storage, auth: { silly: { realm: 'r', service: 's' } } })
  t.equal((await readOnly.at('push dev/app v1 ann')).decidedBy.rule, 'storage.maintenance.readonly')
  t.same((await readOnly.at('pull dev/app v1')).decidedBy, { rule: 'auth.silly', decision: 'deny', reason: 'credentials are needed' })
  const hosted = await explained(t, { storage: { inmemory: {} }, instances: { accessController: { authorize: () => ({}) } } })
  t.equal((await hosted.at('delete dev/app v1 ann')).decidedBy.rule, 'storage.delete.enabled')
  t.same((await hosted.at('pull dev/app v1')).decidedBy, { rule: 'accessController', decision: 'depends', reason: 'the application that the registry is part of decides' })
})

t.test('GET /_oci/explain is for those who run the registry', async t => {
  const { app } = await explained(t, { auth: await auth(t), policy: POLICY })
  const url = '/_oci/explain?repository=prod/app&reference=v1&action=push'
  t.same(errorCodes(t, await app.inject(url), 401), ['UNAUTHORIZED'])
  t.same(errorCodes(t, await app.inject({ url, headers: as('ann') }), 403), ['DENIED'])
  const answer = await app.inject({ url: `${url}&user=ann`, headers: as('root') })
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['content-type'], 'application/json')
  t.match(answer.json(), { repository: 'prod/app', reference: 'v1', action: 'push', user: 'ann', decision: 'deny', decidedBy: { rule: 'policy.immutabletags[0]' } })
  t.match((await app.inject({ url, headers: as('root') })).json(), { user: 'root' }, 'the caller, when nobody is named')
  t.match((await app.inject({ url: `${url}&user=`, headers: as('root') })).json(), { user: null, decidedBy: { rule: 'auth.htpasswd.access' } })
})

t.test('a question that makes no sense is answered with what is wrong with it', async t => {
  const { app } = await explained(t, { auth: await auth(t) })
  const ask = async (query: string) => await app.inject({ url: `/_oci/explain?${query}`, headers: as('root') })
  t.same(errorCodes(t, await ask('repository=UPPER&action=pull'), 400), ['NAME_INVALID'])
  t.same(errorCodes(t, await ask('repository=a&action=pull&reference=-x'), 400), ['TAG_INVALID'])
  t.same(errorCodes(t, await ask('repository=a&action=pull&reference=sha256:x'), 400), ['DIGEST_INVALID'])
  for (const query of ['repository=a', 'repository=a&action=eat', '']) t.same(errorCodes(t, await ask(query), 400), ['UNSUPPORTED'], query)
  t.same(errorCodes(t, await ask('action=pull'), 400), ['NAME_INVALID'])
  t.equal((await app.inject('/_oci/explain')).statusCode, 401, 'who asks comes before what is asked')
})

t.test('without access control nobody can be told from an operator, and it is not there', async t => {
  const { app } = await explained(t, { policy: POLICY })
  t.equal((await app.inject('/_oci/explain?repository=a&action=pull')).statusCode, 404)
})

t.test('the scope that is asked of a controller is registry:admin:*', async t => {
  const asked: unknown[] = []
  const { app } = await explained(t, { instances: { accessController: { authorize: (_request, records) => { asked.push(records); return { user: 'ops' } } } } })
  t.equal((await app.inject('/_oci/explain?repository=a&action=push')).statusCode, 200)
  t.same(asked, [[{ type: 'registry', name: 'admin', action: '*' }]])
})
