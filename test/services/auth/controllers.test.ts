import t from 'tap'
import type { Test } from 'tap'
import { openAccess } from '../../../services/auth/access.js'
import { parseBasic, quoted } from '../../../services/auth/basic.js'
import { BasicController } from '../../../services/auth/basic-controller.js'
import { createAccessController, hostedController } from '../../../services/auth/create.js'
import type { CredentialStore, Identity } from '../../../services/auth/credentials.js'
import { AccessPolicy } from '../../../services/auth/policy.js'
import { SillyController } from '../../../services/auth/silly.js'
import { OciError } from '../../../services/errors/oci-error.js'
import { alone } from '../../../services/workers/workers.js'
import { RecordedLog, accessRequest, basic, htpasswdFile, records } from '../../helpers/auth.js'
import { accessControllerSuite, refusal } from '../../suites/access-controller.js'

const USERS = { ann: 'correct horse', bob: 'battery staple' }
const WRONG = [basic('ann', 'wrong password'), basic('nobody', 'battery staple'), basic('ann', ''), basic('', 'correct horse'), `Bearer ${basic('ann', 'correct horse').slice(6)}`]
const parts = { workers: alone(), log: new RecordedLog() }
const throttle = { free: 10, delay: '1s', maxdelay: '30s' }

async function openHtpasswd (t: Test, access?: Array<{ repositories: string[], actions: Array<'pull' | 'push' | '*'>, users: string[] }>) {
  const path = await htpasswdFile(t, USERS)
  const controller = await createAccessController({ htpasswd: { realm: 'Test', path, throttle, ...(access === undefined ? {} : { access }) } }, parts)
  return { controller, pusher: basic('ann', USERS.ann), owner: basic('bob', USERS.bob), users: { pusher: 'ann', owner: 'bob' }, wrong: WRONG, secrets: Object.values(USERS) }
}

accessControllerSuite(t, 'htpasswd', async t => await openHtpasswd(t))

accessControllerSuite(t, 'htpasswd with a policy', async t => ({
  ...await openHtpasswd(t, [
    { repositories: ['team/app'], actions: ['pull', 'push'], users: ['ann'] },
    { repositories: ['team/**'], actions: ['*'], users: ['bob'] }
  ]),
  denies: { codes: ['DENIED'] }
}))

accessControllerSuite(t, 'silly', async () => ({
  controller: await createAccessController({ silly: { realm: 'https://silly.example/token', service: 'silly' } }, parts),
  pusher: 'Bearer anything',
  owner: 'x',
  users: { pusher: 'silly', owner: 'silly' },
  wrong: [],
  secrets: []
}))

t.test('silly challenges as docker\'s registry does, with a scope for each action', async t => {
  const silly = new SillyController({ realm: 'Reg "q"', service: 'svc' })
  const challenge = async (...scopes: string[]): Promise<string | undefined> => (await refusal(silly, undefined, records(...scopes))).headers['www-authenticate']
  t.equal(await challenge(), 'Bearer realm="Reg \\"q\\"",service="svc"')
  t.equal(await challenge('repository:a/b:pull,push', 'repository:c/d:pull'), 'Bearer realm="Reg \\"q\\"",service="svc",scope="repository:a/b:pull repository:a/b:push repository:c/d:pull"')
})

t.test('an open registry lets everybody do everything, and believes a name', async t => {
  const open = await createAccessController({}, parts)
  t.equal(open, openAccess)
  t.equal(await createAccessController({ none: {} }, parts), openAccess)
  t.same(open.authorize(accessRequest(), records('repository:a:*')), {})
  t.same(open.authorize(accessRequest(basic('ann', 'x')), []), { user: 'ann' })
  t.same(open.authorize(accessRequest(basic('x'.repeat(1000), '')), []), { user: 'x'.repeat(256) })
  for (const header of ['Bearer abc', basic('', ''), 'Basic', '\u00ff']) t.same(open.authorize(accessRequest(header), []), {})
})

/** One user, whose password is not looked at again. */
class OneUser implements CredentialStore {
  readonly asked: string[] = []
  closed = false

  async verify (user: string, password: string, address: string): Promise<Identity | undefined> {
    this.asked.push(`${user}:${password} from ${address}`)
    if (user === 'slow') throw new OciError('TOOMANYREQUESTS', { headers: { 'retry-after': '7' } })
    return user === 'ann' && password === 'secret' ? { user, groups: ['devs'] } : undefined
  }

  async close (): Promise<void> {
    this.closed = true
  }
}

function withPolicy (): { controller: BasicController, credentials: OneUser } {
  const credentials = new OneUser()
  const policy = new AccessPolicy([
    { repositories: ['public/**'], actions: ['pull'], anonymous: true },
    { repositories: ['team/**'], actions: ['pull', 'push'], groups: ['devs'] }
  ])
  return { controller: new BasicController({ realm: 'Test', credentials, policy }), credentials }
}

t.test('a stranger may do what the policy allows strangers, also with an empty name and password, and nobody is asked', async t => {
  const { controller, credentials } = withPolicy()
  for (const authorization of [undefined, basic('', '')]) {
    const grant = await controller.authorize(accessRequest(authorization), records('repository:public/a:pull'))
    t.equal(grant.user, undefined)
    for (const asked of [records('repository:team/a:pull'), records('repository:public/a:pull,push'), []]) {
      t.match(await refusal(controller, authorization, asked), { code: 'UNAUTHORIZED', headers: { 'www-authenticate': 'Basic realm="Test"' } })
    }
  }
  t.same(credentials.asked, [])
})

t.test('wrong credentials are refused where none are needed', async t => {
  const { controller } = withPolicy()
  for (const header of [basic('ann', 'wrong'), basic('', 'x'), 'Bearer abc']) t.match(await refusal(controller, header, records('repository:public/a:pull')), { code: 'UNAUTHORIZED' })
})

t.test('who is known and not allowed is denied, and the refusal knows who', async t => {
  const { controller } = withPolicy()
  const ann = basic('ann', 'secret')
  t.match(await refusal(controller, ann, records('repository:other:pull')), { code: 'DENIED', status: 403, user: 'ann', headers: {} })
  t.match(await refusal(controller, basic('ann', 'wrong'), records('repository:other:pull')), { code: 'UNAUTHORIZED', claimed: 'ann', user: undefined })
  t.match(await refusal(controller, basic('slow', 'x'), []), { code: 'TOOMANYREQUESTS', claimed: 'slow', headers: { 'retry-after': '7' } })
})

t.test('the catalog is told what the caller may see', async t => {
  const { controller } = withPolicy()
  const catalog = records('registry:catalog:*')
  const names = ['public/a', 'team/b', 'other'] as never[]
  const seen = async (authorization?: string) => {
    const { visible } = await controller.authorize(accessRequest(authorization), catalog)
    return names.filter(name => visible?.mayPull(name))
  }
  t.same(await seen(), ['public/a'])
  t.same(await seen(basic('ann', 'secret')), ['public/a', 'team/b'])
})

t.test('the store is asked with the client\'s address, and closed with the controller', async t => {
  const { controller, credentials } = withPolicy()
  await controller.authorize(accessRequest(basic('ann', 'secret'), '198.51.100.1'), [])
  t.same(credentials.asked, ['ann:secret from 198.51.100.1'])
  await controller.close()
  t.ok(credentials.closed)
})

t.test('a Basic header is a name up to the first colon, and a password', async t => {
  t.same(parseBasic(basic('ann', 'a:b')), { user: 'ann', password: 'a:b' })
  t.same(parseBasic(`bAsIc  ${basic('ü', 'é').slice(6)}`), { user: 'ü', password: 'é' })
  for (const header of [undefined, '', 'Basic', 'Basic ', `Basic ${Buffer.from('no colon').toString('base64')}`, 'Basic a*b', `${basic('a', 'b')} c`, 'Bearer x']) t.equal(parseBasic(header), undefined, header ?? 'none')
})

t.test('a realm may hold anything, and the header stays one', async t => {
  t.equal(quoted('My "own" \\ realm'), '"My \\"own\\" \\\\ realm"')
  t.equal(quoted('a\r\nSet-Cookie: x\u007f'), '"a\\r\\nSet-Cookie: x\\u007f"')
  t.equal(Buffer.from(quoted('Übung'), 'latin1').toString('utf8'), '"Übung"')
})

t.test('what a host\'s controller answers must be a grant: anything else lets nobody in', async t => {
  for (const answer of [undefined, null, false, true, 'ann', 0]) {
    for (const authorize of [() => answer, async () => answer]) {
      const controller = hostedController(authorize as never)
      await t.rejects(async () => await controller.authorize(accessRequest(), []), TypeError)
    }
  }
  const thenable = { then: (resolve: (value: unknown) => void) => { resolve(false) } }
  await t.rejects(async () => await hostedController((() => thenable) as never).authorize(accessRequest(), []), TypeError)
  class Host { user = 'host'; authorize () { return { user: this.user } } }
  t.same(await hostedController(new Host()).authorize(accessRequest(), []), { user: 'host' })
  t.equal(hostedController(new Host()).close, undefined)
})
