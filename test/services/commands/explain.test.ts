import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { htpasswd } from '../../helpers/auth.js'
import { image } from '../../helpers/images.js'
import { runCli, startProduct } from '../../helpers/product.js'
import type { Ended } from '../../helpers/product.js'

const pushed = image('explained')

/** A directory with config.yml, where prod/app:v1 has been pushed. */
async function prepared (t: Test): Promise<(args: string[]) => Promise<Ended>> {
  const cwd = t.testdir({ htpasswd: htpasswd({ ann: 'ann' }) })
  const access = [{ repositories: ['**'], actions: ['pull' as const], anonymous: true }, { repositories: ['prod/**'], actions: ['push' as const], users: ['ann'] }]
  const product = await startProduct(t, cwd, { policy: { immutabletags: [{ repositories: ['prod/**'] }] }, auth: { htpasswd: { realm: 'r', path: join(cwd, 'htpasswd'), access } } })
  const headers = { authorization: `Basic ${Buffer.from('ann:ann').toString('base64')}` }
  for (const { digest, bytes } of pushed.blobs) await fetch(`${product.url}/v2/prod/app/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes, headers })
  const put = await fetch(`${product.url}/v2/prod/app/manifests/v1`, { method: 'PUT', body: pushed.bytes, headers: { ...headers, 'content-type': pushed.mediaType } })
  t.equal(put.status, 201)
  await product.stop()
  return async args => await runCli(t, ['explain', ...args, 'config.yml'], cwd)
}

t.test('explain says who decides, from the configuration and from what is in storage', async t => {
  const run = await prepared(t)
  t.same(await run(['--repository', 'prod/app', '--reference', 'v1', '--action', 'push', '--user', 'ann']), {
    status: 2,
    stderr: '',
    stdout: `push prod/app:v1 by ann: denied
policy.immutabletags[0]: tag v1 of prod/app is immutable: only ${pushed.digest} can be pushed to it

allow    auth.htpasswd.access[0]  lets ann pull
allow    auth.htpasswd.access[1]  lets ann push
deny     policy.immutabletags[0]  tag v1 of prod/app is immutable: only ${pushed.digest} can be pushed to it
`
  })
  const pull = await run(['--repository', 'prod/app', '--reference', pushed.digest, '--action', 'pull'])
  t.equal(pull.status, 0)
  t.match(pull.stdout, `pull prod/app@${pushed.digest} by somebody without credentials: allowed\nauth.htpasswd.access[0]: lets somebody without credentials pull\n`)
  const json = await run(['--json', '--repository', 'prod/app', '--reference', 'v2', '--action', 'push', '--user', 'bob'])
  t.equal(json.status, 2)
  t.match(JSON.parse(json.stdout), { repository: 'prod/app', reference: 'v2', action: 'push', user: 'bob', decision: 'deny', decidedBy: { rule: 'auth.htpasswd.access', reason: 'no rule lets bob push' } })
})

t.test('a question that makes no sense is a line for each mistake', async t => {
  const run = async (...args: string[]): Promise<Ended> => await runCli(t, ['explain', ...args], t.testdir())
  t.same(await run(), { status: 1, stdout: '', stderr: 'oci-registry: --repository: is missing\noci-registry: --action: one of pull, push, delete is needed\n' })
  t.same(await run('--repository', 'UPPER', '--reference', 'a b', '--action', 'eat'), {
    status: 1,
    stdout: '',
    stderr: 'oci-registry: --repository: invalid repository name: UPPER\noci-registry: --reference: invalid tag: a b\noci-registry: --action: one of pull, push, delete is needed\n'
  })
})
