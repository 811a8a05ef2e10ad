import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { createAccessController } from '../../../services/auth/create.js'
import { alone } from '../../../services/workers/workers.js'
import { RecordedLog, basic, htpasswdFile } from '../../helpers/auth.js'
import { shortDirectory } from '../../helpers/clients.js'
import { parseConfig } from '../../../services/config/parse.js'
import type { RegistryConfig, RegistryConfigInput } from '../../../schemas/config/index.js'
import { ISSUER, SERVICE, access, ecKey, publicJwk, signToken } from '../../helpers/tokens.js'
import { accessControllerSuite } from '../../suites/access-controller.js'

const parts = { workers: alone(), log: new RecordedLog() }
const PUSH = 'repository:team/app:pull,push'

/** With the defaults of the schema. */
function auth (input: NonNullable<RegistryConfigInput['auth']>): NonNullable<RegistryConfig['auth']> {
  return parseConfig({ storage: { inmemory: {} }, auth: input }).auth ?? {}
}

accessControllerSuite(t, 'token', async t => {
  const key = ecKey()
  const jwks = join(await shortDirectory(t, 'keys'), 'jwks')
  writeFileSync(jwks, JSON.stringify({ keys: [await publicJwk(key, { kid: 'k' })] }))
  const bearer = async (claims: Record<string, unknown>, by = key): Promise<string> => `Bearer ${await signToken(by, { kid: 'k' }, claims)}`
  const pusher = await bearer({ ...access(PUSH), sub: 'ann' })
  return {
    controller: await createAccessController(auth({ token: { realm: 'https://auth.example/token', service: SERVICE, issuer: ISSUER, jwks } }), parts),
    pusher,
    owner: await bearer({ ...access('repository:team/app:*'), sub: 'bob' }),
    users: { pusher: 'ann', owner: 'bob' },
    wrong: [await bearer({ ...access(PUSH), exp: 1 }), await bearer(access(PUSH), ecKey()), await bearer({ ...access(PUSH), iss: 'x' }), pusher.slice(0, -3), basic('ann', 'x')],
    denies: { codes: ['UNAUTHORIZED'] },
    secrets: [pusher.slice(7)]
  }
})

async function withTokenServer (t: Test) {
  const path = await htpasswdFile(t, { ann: 'correct horse', bob: 'battery staple' })
  const controller = await createAccessController(auth({
    htpasswd: {
      realm: 'Test',
      path,
      access: [{ repositories: ['team/app'], actions: ['pull', 'push'], users: ['ann'] }, { repositories: ['team/**'], actions: ['*'], users: ['bob'] }],
      tokenserver: {}
    }
  }), parts)
  const bearer = async (user: string, password: string, scope: string): Promise<string> => {
    const granted = await controller.tokenServer?.grant({ credentials: { user, password }, scopes: [scope], address: '192.0.2.1' })
    return `Bearer ${granted?.response.token ?? ''}`
  }
  return { controller, bearer }
}

accessControllerSuite(t, 'our token server\'s tokens', async t => {
  const { controller, bearer } = await withTokenServer(t)
  const pusher = await bearer('ann', 'correct horse', 'repository:team/app:*')
  return {
    controller,
    pusher,
    owner: await bearer('bob', 'battery staple', 'repository:team/app:*'),
    users: { pusher: 'ann', owner: 'bob' },
    wrong: [pusher.slice(0, -3), basic('ann', 'wrong password')],
    denies: { codes: ['UNAUTHORIZED'] },
    secrets: [pusher.slice(7), 'correct horse', 'battery staple']
  }
})

accessControllerSuite(t, 'passwords beside our token server', async t => {
  const { controller } = await withTokenServer(t)
  return {
    controller,
    pusher: basic('ann', 'correct horse'),
    owner: basic('bob', 'battery staple'),
    users: { pusher: 'ann', owner: 'bob' },
    wrong: [basic('ann', 'wrong password'), basic('nobody', 'battery staple')],
    denies: { codes: ['DENIED'] },
    secrets: ['correct horse', 'battery staple']
  }
})
