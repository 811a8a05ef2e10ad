import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { OCI_INDEX, OCI_MANIFEST } from '../../schemas/media-types.js'
import { ociLayoutDigests, writeOciLayout } from '../helpers/oci-layout.js'
import type { OciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'
import type { Product } from '../helpers/product.js'

const run = promisify(execFile)
const LAYER_BYTES = 3.5 * 1024 * 1024

/** Skips aloud where a client is not installed; in CI the test runs, and fails, without it. */
function needs (...clients: string[]): { skip?: string } {
  const missing = clients.find(client => !isOnPath(client))
  return missing === undefined || process.env['CI'] === 'true' ? {} : { skip: `${missing} is not on PATH` }
}

function isOnPath (command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some(directory => {
    try {
      accessSync(join(directory, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Runs a client; when it fails, the error says what it printed. */
async function client (command: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(command, args, { maxBuffer: 16 * 1024 * 1024 })
  return stdout
}

async function skopeo (command: string, ...args: string[]): Promise<string> {
  return await client('skopeo', '--insecure-policy', command, ...args)
}

interface Pushed { readonly product: Product, readonly layout: OciLayout, readonly source: string, readonly directory: string }

/** A registry into which skopeo pushed an image for two platforms as team/app:1.0. */
async function pushedBySkopeo (t: Test): Promise<Pushed> {
  const directory = t.testdir({ source: {} })
  const source = join(directory, 'source')
  const layout = await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: LAYER_BYTES })
  const product = await startProduct(t, directory)
  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, `docker://${product.host}/team/app:1.0`)
  return { product, layout, source, directory }
}

/** Digest and media type of a manifest as the registry tells them; undefined when it has none. */
async function stored ({ url }: Product, name: string, reference: string): Promise<{ digest: string | null, mediaType: string | null } | undefined> {
  const { status, headers } = await fetch(`${url}/v2/${name}/manifests/${reference}`, {
    method: 'HEAD', headers: { accept: `${OCI_INDEX}, ${OCI_MANIFEST}` }
  })
  return status === 404 ? undefined : { digest: headers.get('docker-content-digest'), mediaType: headers.get('content-type') }
}

/** Stops the registry and says how often it answered such a request, by its own log. */
async function answered (product: Product, method: string, url: RegExp, status: number): Promise<number> {
  await product.stop()
  const { stderr: log } = await product.ended
  return log.split('\n').filter(line => line.includes(`method="${method}"`) && line.includes(`status=${status}`) && url.test(line)).length
}

t.test('skopeo pushes an image for two platforms', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  t.ok(layout.layers.every(({ size }) => size > 3 * 1024 * 1024), 'layers of more than 3 MiB')
  t.same(await stored(product, 'team/app', '1.0'), { digest: layout.index.digest, mediaType: OCI_INDEX })
  for (const { digest } of layout.manifests) {
    t.same(await stored(product, 'team/app', digest), { digest, mediaType: OCI_MANIFEST })
  }
  for (const { digest, bytes } of layout.layers) {
    const pulled = await fetch(`${product.url}/v2/team/app/blobs/${digest}`)
    t.equal(pulled.status, 200)
    t.ok(Buffer.from(await pulled.arrayBuffer()).equals(bytes), digest)
  }
})

t.test('skopeo inspects what it pushed and lists its tags', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  const image = `docker://${product.host}/team/app`
  const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `${image}:1.0`)
  t.equal(raw, layout.index.bytes.toString())
  const inspected = JSON.parse(await skopeo('inspect', '--tls-verify=false', '--override-arch=arm64', `${image}:1.0`)) as object
  t.match(inspected, { Name: `${product.host}/team/app`, RepoTags: ['1.0'], Architecture: 'arm64', Os: 'linux' })
  await skopeo('copy', '--all', '--src-tls-verify=false', '--dest-tls-verify=false', `${image}:1.0`, `${image}:latest`)
  const listed = JSON.parse(await skopeo('list-tags', '--tls-verify=false', image)) as object
  t.same(listed, { Repository: `${product.host}/team/app`, Tags: ['1.0', 'latest'] })
})

t.test('skopeo pulls every byte it pushed', needs('skopeo'), async t => {
  const { product, source, directory } = await pushedBySkopeo(t)
  const target = join(directory, 'target')
  await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${product.host}/team/app:1.0`, `oci:${target}:1.0`)
  t.same(await ociLayoutDigests(target), await ociLayoutDigests(source))
})

t.test('skopeo copies between repositories without sending a layer again', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  await skopeo('copy', '--all', '--src-tls-verify=false', '--dest-tls-verify=false', `docker://${product.host}/team/app:1.0`, `docker://${product.host}/other/copy:2.0`)
  t.same(await stored(product, 'other/copy', '2.0'), { digest: layout.index.digest, mediaType: OCI_INDEX })
  for (const { digest } of layout.layers) {
    t.equal((await fetch(`${product.url}/v2/other/copy/blobs/${digest}`, { method: 'HEAD' })).status, 200)
  }
  const mounts = await answered(product, 'POST', /url="\/v2\/other\/copy\/blobs\/uploads\/\?[^"]*mount=/, 201)
  t.equal(mounts, layout.layers.length, 'each layer is mounted')
})

t.test('skopeo deletes what it pushed', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  await skopeo('delete', '--tls-verify=false', `docker://${product.host}/team/app:1.0`)
  t.equal(await stored(product, 'team/app', '1.0'), undefined)
  t.equal(await stored(product, 'team/app', layout.index.digest), undefined)
  await t.rejects(skopeo('inspect', '--tls-verify=false', `docker://${product.host}/team/app:1.0`), /manifest unknown/)
})

/** A podman with a storage of its own, removed with the test. */
async function podmanFor (t: Test): Promise<(...args: string[]) => Promise<string>> {
  // Not below the test's own directory: podman wants short paths.
  const home = await mkdtemp(join(tmpdir(), 'podman-'))
  const global = ['--root', join(home, 'root'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs']
  t.teardown(async () => {
    await client('podman', ...global, 'rmi', '--all', '--force').catch(() => {})
    await rm(home, { recursive: true, force: true })
  })
  return async (...args) => await client('podman', ...global, ...args)
}

t.test('podman pulls, pushes and pulls again what it pushed', needs('skopeo', 'podman'), async t => {
  const { product, directory } = await pushedBySkopeo(t)
  const podman = await podmanFor(t)
  const pulled = `${product.host}/team/app:1.0`
  const pushed = `${product.host}/team/pushed:2.0`
  await podman('pull', '--tls-verify=false', pulled)
  await podman('tag', pulled, pushed)
  const digestFile = join(directory, 'digest')
  await podman('push', '--tls-verify=false', '--digestfile', digestFile, pushed)
  const digest = await readFile(digestFile, 'utf8')
  t.equal((await stored(product, 'team/pushed', '2.0'))?.digest, digest)

  const id = await podman('image', 'inspect', '--format', '{{.Id}}', pushed)
  await podman('rmi', '--all', '--force')
  t.equal(await podman('images', '--quiet'), '', 'nothing is left in the local storage')
  await podman('pull', '--tls-verify=false', pushed)
  t.equal((await podman('image', 'inspect', '--format', '{{.Digest}}', pushed)).trim(), digest)
  t.equal(await podman('image', 'inspect', '--format', '{{.Id}}', pushed), id)
})
