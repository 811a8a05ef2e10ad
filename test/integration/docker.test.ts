import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { htpasswd } from '../helpers/auth.js'
import { answered, client, needs, pushedBySkopeo, shortDirectory, stored } from '../helpers/clients.js'
import { writeOciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'
import type { Product } from '../helpers/product.js'

type Run = (...args: string[]) => Promise<string>

/** A daemon needs root; where the tests run without, these are skipped aloud. */
function needsRoot (...clients: string[]): { skip?: string } {
  return process.getuid?.() === 0 || process.env['CI'] === 'true' ? needs(...clients) : { skip: 'needs root' }
}

/** Starts a daemon and resolves when it has said that it is ready. Stopped with the test. */
async function startDaemon (t: Test, command: string, args: readonly string[], ready: RegExp): Promise<void> {
  const daemon = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<void>((resolve, reject) => { daemon.once('exit', () => { resolve() }).once('error', reject) })
  t.teardown(async () => {
    daemon.kill('SIGTERM')
    await ended
  })
  let log = ''
  await new Promise<void>((resolve, reject) => {
    // Read to its end: a daemon whose log nobody takes stops.
    daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (ready.test(log)) resolve()
    })
    ended.then(() => { reject(new Error(`${command} did not start:\n${log}`)) }, reject)
  })
}

async function dockerFor (t: Test, registry: string): Promise<Run> {
  const home = await shortDirectory(t, 'docker')
  const socket = `unix://${join(home, 'docker.sock')}`
  await startDaemon(t, 'dockerd', [
    '--iptables=false', '--bridge=none', '--storage-driver=vfs', '--host', socket, '--insecure-registry', registry,
    '--data-root', join(home, 'data'), '--exec-root', join(home, 'exec'), '--pidfile', join(home, 'pid')
  ], /API listen on/)
  return async (...args) => await client('docker', '--host', socket, ...args)
}

async function ctrFor (t: Test): Promise<Run> {
  const home = await shortDirectory(t, 'ctr')
  const address = join(home, 'containerd.sock')
  const config = join(home, 'config.toml')
  // Only what images need: no CRI, no snapshotter that wants a file system of its own.
  await writeFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]\n')
  await startDaemon(t, 'containerd', ['--config', config, '--address', address, '--root', join(home, 'root'), '--state', join(home, 'state')], /containerd successfully booted/)
  return async (...args) => await client('ctr', '--address', address, 'images', ...args)
}

t.test('docker pulls, pushes, mounts between repositories and pulls all tags', needsRoot('skopeo', 'dockerd', 'docker'), async t => {
  const { product } = await pushedBySkopeo(t)
  const docker = await dockerFor(t, product.host)
  const [pulled, pushed, mounted] = ['team/app:1.0', 'team/pushed:2.0', 'other/mounted:2.0'].map(name => `${product.host}/${name}`) as [string, string, string]
  await docker('pull', '--platform', 'linux/amd64', pulled)
  for (const name of [pushed, mounted]) {
    await docker('tag', pulled, name)
    await docker('push', name)
  }
  const digest = (await stored(product, 'team/pushed', '2.0'))?.digest
  t.match(digest, /^sha256:/)
  t.equal((await stored(product, 'other/mounted', '2.0'))?.digest, digest)

  const id = await docker('image', 'inspect', '--format', '{{.Id}}', pushed)
  await docker('rmi', '--force', ...(await docker('images', '--quiet', '--no-trunc')).trim().split('\n').slice(0, 1))
  await docker('pull', '--all-tags', `${product.host}/team/pushed`)
  t.equal(await docker('image', 'inspect', '--format', '{{.Id}}', pushed), id)
  await t.rejects(docker('pull', `${product.host}/team/pushed:absent`), /manifest unknown|not found/)
  t.ok(await answered(product, 'POST', /other\/mounted\/blobs\/uploads\/\?[^"]*mount=/, 201) > 0, 'a layer was mounted')
})

t.test('containerd pulls an image for all platforms, and pushes it', needsRoot('skopeo', 'containerd', 'ctr'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  const ctr = await ctrFor(t)
  const [pulled, pushed] = ['team/app:1.0', 'team/ctr:2.0'].map(name => `${product.host}/${name}`) as [string, string]
  await ctr('pull', '--plain-http', '--all-platforms', '--snapshotter', 'native', pulled)
  await ctr('tag', pulled, pushed)
  await ctr('push', '--plain-http', pushed)
  t.equal((await stored(product, 'team/ctr', '2.0'))?.digest, layout.index.digest)
  for (const { digest } of layout.manifests) t.equal((await stored(product, 'team/ctr', digest))?.digest, digest)
  t.ok(await answered(product, 'POST', /team\/ctr\/blobs\/uploads\/\?[^"]*mount=/, 201) > 0, 'a layer was mounted')
})

/** The product with htpasswd and an image in some repositories; public/** is for everybody to pull, ann may do everything. */
async function withImages (t: Test, names: readonly string[], htpasswdKeys: { tokenserver?: object } = {}): Promise<{ product: Product, directory: string }> {
  const directory = t.testdir({ htpasswd: htpasswd({ ann: 'secret' }), docker: {} })
  const access = [{ repositories: ['public/**'], actions: ['pull' as const], anonymous: true }, { repositories: ['**'], actions: ['*' as const], users: ['ann'] }]
  const product = await startProduct(t, directory, { auth: { htpasswd: { realm: 'Test', path: join(directory, 'htpasswd'), access, ...htpasswdKeys } } })
  const source = join(directory, 'source')
  await writeOciLayout(source, { tag: '1.0', architectures: ['amd64'], layerBytes: 10_000 })
  for (const name of names) {
    await client('skopeo', '--insecure-policy', 'copy', '--dest-tls-verify=false', '--dest-creds=ann:secret', `oci:${source}:1.0`, `docker://${product.host}/${name}:1.0`)
  }
  return { product, directory }
}

t.test('docker pulls what is public only when it is logged in: with Basic it sends no request without credentials', needsRoot('skopeo', 'dockerd', 'docker'), async t => {
  const { product, directory } = await withImages(t, ['public/app', 'private/app'])
  const daemon = await dockerFor(t, product.host)
  const docker: Run = async (...args) => await daemon('--config', join(directory, 'docker'), ...args)
  const image = `${product.host}/public/app:1.0`
  await t.rejects(docker('pull', image), /no basic auth credentials/)
  await t.rejects(docker('login', '--username', 'ann', '--password', 'wrong', product.host), /401 Unauthorized/)
  t.match(await docker('login', '--username', 'ann', '--password', 'secret', product.host), 'Login Succeeded')
  await docker('pull', image)
  await docker('tag', image, `${product.host}/private/other:1.0`)
  await docker('push', `${product.host}/private/other:1.0`)
  await docker('logout', product.host)
  await t.rejects(docker('pull', `${product.host}/private/app:1.0`), /no basic auth credentials/)
})

t.test('containerd pulls what is public without credentials, and the rest with them', needsRoot('skopeo', 'containerd', 'ctr'), async t => {
  const { product } = await withImages(t, ['public/app', 'private/app'])
  const ctr = await ctrFor(t)
  const pull = async (name: string, ...args: string[]): Promise<string> => await ctr('pull', '--plain-http', '--platform', 'linux/amd64', '--snapshotter', 'native', ...args, `${product.host}/${name}:1.0`)
  await pull('public/app')
  await t.rejects(pull('private/app'), /401|unauthorized|authorization failed/i)
  await pull('private/app', '--user', 'ann:secret')
})

t.test('with the token server docker pulls what is public without a login, and with one it pushes', needsRoot('skopeo', 'dockerd', 'docker'), async t => {
  const { product, directory } = await withImages(t, ['public/app'], { tokenserver: {} })
  const daemon = await dockerFor(t, product.host)
  const docker: Run = async (...args) => await daemon('--config', join(directory, 'docker'), ...args)
  const [image, hidden] = [`${product.host}/public/app:1.0`, `${product.host}/private/new:1.0`]
  await docker('pull', image)
  await docker('tag', image, hidden)
  await t.rejects(docker('push', hidden), /denied|unauthorized|authentication required/)
  await t.rejects(docker('login', '--username', 'ann', '--password', 'wrong', product.host), /unauthorized|401/)
  t.match(await docker('login', '--username', 'ann', '--password', 'secret', product.host), 'Login Succeeded')
  await docker('push', hidden)
  await docker('pull', hidden)
  await docker('logout', product.host)
  await docker('pull', image)
  await t.rejects(docker('pull', hidden), /denied|unauthorized|authentication required/)
  t.ok(await answered(product, 'POST', /private\/new\/blobs\/uploads\/\?[^"]*mount=/, 201) > 0, 'a layer was mounted, by a token for both repositories')
})

t.test('with the token server containerd gets its tokens by a form, and pulls what is public without a login', needsRoot('skopeo', 'containerd', 'ctr'), async t => {
  const { product } = await withImages(t, ['public/app'], { tokenserver: {} })
  const ctr = await ctrFor(t)
  const [image, hidden] = [`${product.host}/public/app:1.0`, `${product.host}/private/new:1.0`]
  const [plain, all] = [['--plain-http'], ['--all-platforms', '--snapshotter', 'native']] as const
  await ctr('pull', ...plain, ...all, image)
  await ctr('tag', image, hidden)
  await t.rejects(ctr('push', ...plain, hidden), /authorization failed|401|unauthorized|insufficient_scope/i)
  await ctr('push', ...plain, '--user', 'ann:secret', hidden)
  await ctr('pull', ...plain, ...all, '--user', 'ann:secret', hidden)
  await t.rejects(ctr('pull', ...plain, ...all, hidden), /authorization failed|401|unauthorized|insufficient_scope/i)
  t.ok(await answered(product, 'POST', /uri=\/auth\/token /, 200) > 0)
})
