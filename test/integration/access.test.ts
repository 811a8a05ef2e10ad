import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { htpasswd } from '../helpers/auth.js'
import { client, needs, shortDirectory } from '../helpers/clients.js'
import { ociLayoutDigests, writeOciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'
import type { Product } from '../helpers/product.js'

const PASSWORD = 'correct-horse-battery'
const UNAUTHORIZED = /unauthorized|authentication required|401/i
const INSECURE = ['--src-tls-verify=false', '--dest-tls-verify=false']

interface Site { readonly product: Product, readonly directory: string, readonly source: string, readonly authfile: string }

/** The product with htpasswd, and an image in a layout. With a policy, public/** is for everybody to pull. */
async function site (t: Test, withPolicy: boolean): Promise<Site> {
  const directory = t.testdir({ htpasswd: htpasswd({ ann: PASSWORD, bob: 'staple' }) })
  const access = [
    { repositories: ['public/**'], actions: ['pull' as const], anonymous: true },
    { repositories: ['**'], actions: ['*' as const], users: ['ann'] }
  ]
  const product = await startProduct(t, directory, {
    log: { level: 'debug' },
    auth: { htpasswd: { realm: 'Test', path: join(directory, 'htpasswd'), ...(withPolicy ? { access } : {}) } }
  })
  const source = join(directory, 'source')
  await writeOciLayout(source, { tag: '1.0', architectures: ['amd64'], layerBytes: 100_000 })
  return { product, directory, source, authfile: join(directory, 'auth.json') }
}

type Run = (...args: string[]) => Promise<string>

const skopeoOf = ({ authfile }: Site): Run => async (command = '', ...args) => await client('skopeo', '--insecure-policy', command, `--authfile=${authfile}`, ...args)

async function podmanOf (t: Test, { authfile }: Site): Promise<Run> {
  const home = await shortDirectory(t, 'podman')
  const global = ['--root', join(home, 'root'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs']
  t.teardown(async () => { await client('podman', ...global, 'rmi', '--all', '--force').catch(() => {}) })
  return async (command = '', ...args) => await client('podman', ...global, command, ...(['tag', 'rmi'].includes(command) ? [] : [`--authfile=${authfile}`, '--tls-verify=false']), ...args)
}

t.test('skopeo logs in, pushes and pulls with htpasswd, and is refused without or with a wrong password', needs('skopeo'), async t => {
  const all = await site(t, false)
  const { product: { host }, source, directory } = all
  const skopeo = skopeoOf(all)
  const login = async (user: string, password: string): Promise<string> => await skopeo('login', '--tls-verify=false', '--username', user, '--password', password, host)
  const image = `docker://${host}/team/app:1.0`
  await t.rejects(skopeo('copy', '--all', ...INSECURE, `oci:${source}:1.0`, image), UNAUTHORIZED)
  await t.rejects(login('ann', 'wrong'), /invalid username\/password|unauthorized/)
  await t.rejects(login('nobody', PASSWORD), /invalid username\/password|unauthorized/)
  t.match(await login('ann', PASSWORD), 'Login Succeeded')
  await skopeo('copy', '--all', ...INSECURE, `oci:${source}:1.0`, image)
  const target = join(directory, 'target')
  await skopeo('copy', '--all', ...INSECURE, image, `oci:${target}:1.0`)
  t.same(await ociLayoutDigests(target), await ociLayoutDigests(source))
  t.match(await login('bob', 'staple'), 'Login Succeeded')
  t.match(await skopeo('list-tags', '--tls-verify=false', `docker://${host}/team/app`), '1.0')
  await skopeo('logout', host)
  await t.rejects(skopeo('inspect', '--tls-verify=false', image), UNAUTHORIZED)
})

t.test('skopeo and podman without credentials pull what is public, and nothing else', needs('skopeo', 'podman'), async t => {
  const all = await site(t, true)
  const { product, source, directory } = all
  const { host } = product
  const skopeo = skopeoOf(all)
  const podman = await podmanOf(t, all)
  await skopeo('login', '--tls-verify=false', '--username', 'ann', '--password', PASSWORD, host)
  for (const name of ['public/app', 'private/app']) await skopeo('copy', '--all', ...INSECURE, `oci:${source}:1.0`, `docker://${host}/${name}:1.0`)
  await skopeo('logout', host)

  await skopeo('copy', '--all', ...INSECURE, `docker://${host}/public/app:1.0`, `oci:${join(directory, 'target')}:1.0`)
  await podman('pull', `${host}/public/app:1.0`)
  for (const name of ['private/app', 'missing/app']) {
    await t.rejects(skopeo('inspect', '--tls-verify=false', `docker://${host}/${name}:1.0`), UNAUTHORIZED)
    await t.rejects(podman('pull', `${host}/${name}:1.0`), UNAUTHORIZED)
  }
  await t.rejects(skopeo('copy', '--all', ...INSECURE, `oci:${source}:1.0`, `docker://${host}/public/mine:1.0`), UNAUTHORIZED)

  t.comment('logged in, without a right')
  await podman('login', '--username', 'bob', '--password', 'staple', host)
  await podman('pull', `${host}/public/app:1.0`)
  await podman('tag', `${host}/public/app:1.0`, `${host}/public/bob:1.0`)
  await t.rejects(podman('push', `${host}/public/bob:1.0`), /denied/)
  await t.rejects(podman('pull', `${host}/private/app:1.0`), /denied/)
  await t.rejects(podman('login', '--username', 'bob', '--password', 'wrong', host), /invalid username\/password|unauthorized/)

  t.comment('logged in as who may')
  await podman('login', '--username', 'ann', '--password', PASSWORD, host)
  await podman('push', `${host}/public/bob:1.0`)
  await podman('pull', `${host}/private/app:1.0`)
  for (const secret of [PASSWORD, 'staple', Buffer.from(`ann:${PASSWORD}`).toString('base64'), Buffer.from('bob:staple').toString('base64')]) {
    t.notOk(product.log.includes(secret), 'no password in the log')
  }
  t.match(product.log, /msg=audit.* auth\.user\.name=ann.* audit\.action=push.* audit\.repository=public\/bob/)
})

t.test('crane and oras without credentials pull what is public; with them they push', needs('crane', 'oras'), async t => {
  const { product: { host }, source, directory } = await site(t, true)
  const config = async (name: string, user?: string): Promise<string> => {
    const auths = user === undefined ? {} : { [host]: { auth: Buffer.from(user).toString('base64') } }
    const file = join(directory, name, 'config.json')
    await mkdir(join(directory, name))
    await writeFile(file, JSON.stringify({ auths }))
    return file
  }
  const [ann, nobody] = [await config('ann', `ann:${PASSWORD}`), await config('nobody')]
  const crane = async (file: string, ...args: string[]): Promise<string> => await client('env', `DOCKER_CONFIG=${join(file, '..')}`, 'crane', ...args, '--insecure')
  const oras = async (file: string, ...args: string[]): Promise<string> => await client('oras', ...args, '--plain-http', '--registry-config', file)
  for (const name of ['public/app', 'private/app']) await crane(ann, 'push', source, `${host}/${name}:1.0`)
  const digest = await crane(nobody, 'digest', `${host}/public/app:1.0`)
  t.match(digest, /^sha256:/)
  t.match(await oras(nobody, 'manifest', 'fetch', `${host}/public/app:1.0`), 'schemaVersion')
  for (const [run, args] of [[crane, ['digest', `${host}/private/app:1.0`]], [oras, ['manifest', 'fetch', `${host}/private/app:1.0`]], [crane, ['push', source, `${host}/public/mine:1.0`]]] as const) {
    await t.rejects(run(nobody, ...args), /unauthorized|401|basic credential not found/i)
  }
  await oras(ann, 'tag', `${host}/private/app:1.0`, '2.0')
  t.equal((await crane(ann, 'ls', `${host}/private/app`)).trim(), '1.0\n2.0')
  t.equal((await crane(ann, 'catalog', host)).trim(), 'private/app\npublic/app')
})

t.test('REGISTRY_AUTH=htpasswd with a file that is missing makes one, and its password logs in', needs('skopeo'), async t => {
  const directory = t.testdir()
  const path = join(directory, 'auth', 'htpasswd')
  const product = await startProduct(t, directory, { auth: { htpasswd: { realm: 'Registry', path } } })
  const [, password = ''] = await product.logged(/htpasswd is missing, provisioning with default user.* password=(\S+)/)
  const authfile = join(directory, 'auth.json')
  t.match(await client('skopeo', 'login', `--authfile=${authfile}`, '--tls-verify=false', '--username', 'docker', '--password', password, product.host), 'Login Succeeded')
  await product.stop()
  const again = await startProduct(t, directory, { auth: { htpasswd: { realm: 'Registry', path } } })
  t.notMatch(again.log, 'provisioning')
  t.match(await readFile(path, 'utf8'), /^docker:\$2b\$/)
})
