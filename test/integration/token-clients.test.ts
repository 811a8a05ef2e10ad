import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import t from 'tap'
import type { Test } from 'tap'
import { htpasswd } from '../helpers/auth.js'
import { client, needs, shortDirectory, skopeo } from '../helpers/clients.js'
import { writeOciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'
import type { Product } from '../helpers/product.js'

const USERS = { ann: 'correct horse', bob: 'battery staple' }

interface Served { readonly product: Product, readonly source: string, readonly directory: string }

/** The built product with its token server: everybody pulls public/…, ann does everything, bob pulls. */
async function served (t: Test): Promise<Served> {
  const directory = await shortDirectory(t, 'tokens')
  const source = join(directory, 'source')
  await writeOciLayout(source, { tag: '1.0', architectures: ['amd64'], layerBytes: 200_000 })
  const path = join(directory, 'users')
  await writeFile(path, htpasswd(USERS))
  const product = await startProduct(t, directory, {
    auth: {
      htpasswd: {
        realm: 'Test',
        path,
        access: [
          { repositories: ['public/**'], actions: ['pull'], anonymous: true },
          { repositories: ['**'], actions: ['*'], users: ['ann'] },
          { repositories: ['**'], actions: ['pull'], users: ['bob'] }
        ],
        tokenserver: {}
      }
    }
  })
  return { product, source, directory }
}

const credentials = (side: 'src' | 'dest', user: keyof typeof USERS): string => `--${side}-creds=${user}:${USERS[user]}`
const INSECURE = ['--src-tls-verify=false', '--dest-tls-verify=false']

/** What the registry answered, by its own log: `GET /auth/token 200`. */
function answers ({ log }: Product): string[] {
  return log.split('\n').filter(line => line.includes('response completed')).map(line => {
    const [, method, path, status] = /request\.method=(\w+) .*request\.uri="?([^"? ]*).* http\.response\.status=(\d+)/.exec(line) ?? []
    return `${method} ${path} ${status}`
  })
}

t.test('skopeo logs in, pushes, copies by a mount and pulls with tokens; strangers pull what is public', needs('skopeo'), async t => {
  const { product, source, directory } = await served(t)
  const authfile = join(directory, 'auth.json')
  const login = async (password: string): Promise<string> => await client('skopeo', 'login', '--tls-verify=false', `--authfile=${authfile}`, '-u', 'ann', '-p', password, product.host)
  await t.rejects(login('wrong'), /invalid username\/password|unauthorized/)
  t.match(await login(USERS.ann), /Login Succeeded/)
  const image = (name: string): string => `docker://${product.host}/${name}`
  await skopeo('copy', '--dest-tls-verify=false', `--authfile=${authfile}`, `oci:${source}:1.0`, image('team/app:1.0'))
  await skopeo('copy', ...INSECURE, `--authfile=${authfile}`, image('team/app:1.0'), image('public/app:1.0'))
  t.ok(answers(product).includes('POST /v2/public/app/blobs/uploads/ 201'), 'mounted with one token for both repositories')

  await skopeo('copy', '--src-tls-verify=false', '--src-no-creds', image('public/app:1.0'), `dir:${join(directory, 'stranger')}`)
  await skopeo('copy', '--src-tls-verify=false', credentials('src', 'bob'), image('team/app:1.0'), `dir:${join(directory, 'bob')}`)
  await t.rejects(skopeo('copy', '--src-tls-verify=false', '--src-no-creds', image('team/app:1.0'), `dir:${join(directory, 'refused')}`), /authentication required|unauthorized|access .* is denied/)
  await t.rejects(skopeo('copy', '--dest-tls-verify=false', credentials('dest', 'bob'), `oci:${source}:1.0`, image('team/app:2.0')), /authentication required|unauthorized|is denied/)
  await t.rejects(skopeo('copy', '--dest-tls-verify=false', '--dest-no-creds', `oci:${source}:1.0`, image('public/app:2.0')), /authentication required|unauthorized|is denied/)
  await skopeo('delete', '--tls-verify=false', `--authfile=${authfile}`, image('team/app:1.0'))
  t.notMatch(product.log, /eyJ|correct horse|battery/, 'neither tokens nor passwords are in the log')
  t.notOk(answers(product).some(answer => / 5\d\d$/.test(answer)))
})

t.test('podman logs in, pushes and pulls; without a login it pulls what is public', needs('skopeo', 'podman'), async t => {
  const { product, source, directory } = await served(t)
  const [authfile, nobody] = [join(directory, 'auth.json'), join(directory, 'nobody.json')]
  await writeFile(nobody, '{}')
  const global = ['--root', join(directory, 'root'), '--runroot', join(directory, 'run'), '--storage-driver', 'vfs']
  t.teardown(async () => { await client('podman', ...global, 'rmi', '--all', '--force').catch(() => {}) })
  const podman = async (...args: string[]): Promise<string> => await client('podman', ...global, ...args)
  await podman('login', '--tls-verify=false', `--authfile=${authfile}`, '-u', 'ann', '-p', USERS.ann, product.host)
  await skopeo('copy', '--dest-tls-verify=false', `--authfile=${authfile}`, `oci:${source}:1.0`, `docker://${product.host}/team/base:1.0`)
  await podman('pull', '--tls-verify=false', `--authfile=${authfile}`, `${product.host}/team/base:1.0`)
  await podman('tag', `${product.host}/team/base:1.0`, `${product.host}/public/pushed:1.0`)
  await podman('push', '--tls-verify=false', `--authfile=${authfile}`, `${product.host}/public/pushed:1.0`)
  await podman('rmi', '--all', '--force')
  await podman('pull', '--tls-verify=false', `--authfile=${nobody}`, `${product.host}/public/pushed:1.0`)
  await t.rejects(podman('pull', '--tls-verify=false', `--authfile=${nobody}`, `${product.host}/team/base:1.0`), /authentication required|unauthorized/)
})

t.test('crane and oras push, mount and pull with tokens', needs('crane', 'oras'), async t => {
  const { product, directory } = await served(t)
  const config = join(directory, 'docker')
  const environment = { ...process.env, DOCKER_CONFIG: config, HOME: directory }
  const run = async (command: string, args: string[], input = ''): Promise<void> => {
    const child = spawn(command, args, { env: environment, cwd: directory, stdio: ['pipe', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
    child.stdin.end(input)
    const [status] = await once(child, 'close') as [number]
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${output}`)
  }
  await writeFile(join(directory, 'hello.txt'), 'hello')
  await run('oras', ['login', '--plain-http', '-u', 'ann', '--password-stdin', product.host], USERS.ann)
  await run('oras', ['push', '--plain-http', `${product.host}/team/files:1`, 'hello.txt:text/plain'])
  await run('oras', ['cp', '--from-plain-http', '--to-plain-http', `${product.host}/team/files:1`, `${product.host}/public/files:1`])
  await run('crane', ['copy', '--insecure', `${product.host}/team/files:1`, `${product.host}/team/copy:1`])
  await run('crane', ['catalog', '--insecure', product.host])
  await run('oras', ['logout', product.host])
  await run('crane', ['manifest', '--insecure', `${product.host}/public/files:1`])
  await run('oras', ['pull', '--plain-http', '-o', 'pulled', `${product.host}/public/files:1`])
  await t.rejects(run('crane', ['manifest', '--insecure', `${product.host}/team/files:1`]), /UNAUTHORIZED/)
  await t.rejects(run('oras', ['pull', '--plain-http', `${product.host}/team/files:1`]), /401|unauthorized/i)
  t.ok(answers(product).some(answer => /^POST \/v2\/(?:public\/files|team\/copy)\/blobs\/uploads\/ 201$/.test(answer)), 'a mount')
})
