import { execFile } from 'node:child_process'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { needs } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { image, index, sha256 } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'
import { runCli, startProduct } from '../helpers/product.js'

const run = promisify(execFile)
const BLOBS = 'docker/registry/v2/blobs/sha256'

async function push (t: Test, url: string, name: string, manifest: Manifest, reference: string): Promise<void> {
  for (const { bytes, digest } of manifest.blobs) {
    const started = await fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST' })
    const location = new URL(started.headers.get('location') ?? '', url)
    location.searchParams.set('digest', digest)
    t.equal((await fetch(location, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: new Uint8Array(bytes) })).status, 201)
  }
  const put = await fetch(`${url}/v2/${name}/manifests/${reference}`, { method: 'PUT', headers: { 'content-type': manifest.mediaType }, body: new Uint8Array(manifest.bytes) })
  t.equal(put.status, 201, await put.text())
}

function fileOf (data: string, digest: string): string {
  const hex = digest.slice(7)
  return join(data, BLOBS, hex.slice(0, 2), hex, 'data')
}

t.test('what docker\'s registry 2.8.2 wrote is sound, with all its oddities, before and after its garbage collection', needs('docker-registry'), async t => {
  const directory = t.testdir()
  const data = join(directory, 'data')
  const docker = await startDockerRegistry(t, directory, data)
  const [kept, deleted, moved] = [image('kept'), image('deleted'), image('moved')]
  await push(t, docker.url, 'team/app', kept, 'kept')
  await push(t, docker.url, 'team/app', moved, 'moving')
  await push(t, docker.url, 'team/app', kept, 'moving')
  await push(t, docker.url, 'team/app', index([kept]), 'index')
  await push(t, docker.url, 'team/app', deleted, 'deleted')
  await push(t, docker.url, 'team/other', deleted, 'deleted')
  for (const name of ['team/app', 'team/other']) t.equal((await fetch(`${docker.url}/v2/${name}/manifests/${deleted.digest}`, { method: 'DELETE' })).status, 202)
  t.equal((await fetch(`${docker.url}/v2/team/app/manifests/${moved.digest}`, { method: 'DELETE' })).status, 202)
  const session = await fetch(`${docker.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  t.equal((await fetch(new URL(session.headers.get('location') ?? '', docker.url), { method: 'PATCH', headers: { 'content-type': 'application/octet-stream' }, body: 'half' })).status, 202)
  await docker.stop()

  const verify = async (...args: string[]): Promise<{ status: number | null, stdout: string }> => await runCli(t, ['verify', '--grace', '0s', ...args, docker.configFile], directory)
  const before = await verify()
  t.equal(before.status, 1, before.stdout)
  t.match(before.stdout, /\n0 corrupt, 0 missing, \d+ orphaned, 0 odd, 0 repaired, 0 too young to be judged, 0 errors\n$/)
  t.match((await verify('--quiet')).stdout, /^(?:orphaned: [^\n]+\n)+$/)

  await run('docker-registry', ['garbage-collect', docker.configFile])
  await t.rejects(readdir(join(data, BLOBS, deleted.digest.slice(7, 9), deleted.digest.slice(7))), 'its content is gone')
  const after = await verify('--repair')
  t.equal(after.status, 1, after.stdout)
  t.match(after.stdout, new RegExp(`^orphaned: team/app@${deleted.blobs[1]?.digest ?? ''}: a link to content that is not there, and that nothing needs \\(set aside\\)$`, 'm'))
  const clean = await verify()
  t.equal(clean.status, 0, clean.stdout)
  t.match(clean.stdout, /\n0 corrupt, 0 missing, 0 orphaned, 0 odd, 0 repaired, /)

  const again = await startDockerRegistry(t, directory, data)
  for (const tag of ['kept', 'moving', 'index']) t.equal((await fetch(`${again.url}/v2/team/app/manifests/${tag}`, { headers: { accept: `${kept.mediaType}, ${index([]).mediaType}` } })).status, 200, tag)
  for (const { digest } of kept.blobs) t.equal((await fetch(`${again.url}/v2/team/app/blobs/${digest}`)).status, 200)
})

t.test('damage beside a running server: named, exit status 1, set aside, and healed by a push', async t => {
  const directory = t.testdir()
  const product = await startProduct(t, directory)
  const manifest = image('damaged')
  const [config, layer] = manifest.blobs
  if (config === undefined || layer === undefined) throw new Error('no blobs')
  await push(t, product.url, 'team/app', manifest, 'latest')
  const file = fileOf(product.data, layer.digest)
  await writeFile(file, 'rotten')
  await rm(fileOf(product.data, config.digest))

  const young = await runCli(t, ['verify', 'config.yml'], directory)
  t.equal(young.status, 0, 'too young to be judged')
  t.match(young.stdout, / 2 too young to be judged, /)

  const verify = async (...args: string[]): Promise<{ status: number | null, stdout: string }> => await runCli(t, ['verify', '--grace', '0s', ...args, 'config.yml'], directory)
  const found = await verify('--quiet', '--rate', '1MB')
  t.equal(found.status, 1)
  t.same(found.stdout.trimEnd().split('\n').sort(), [
    `corrupt: ${layer.digest}: its 6 bytes are those of ${sha256('rotten')}`,
    ...[config, layer].map(({ digest }) => `missing: team/app@${manifest.digest}: content that the manifest refers to is not there: ${digest}`)
  ].sort())

  const repaired = await verify('--repair', '--json')
  t.equal(repaired.status, 1)
  const [finding, ...others] = repaired.stdout.trimEnd().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  t.match(finding, { kind: 'finding', severity: 'corrupt', digest: layer.digest, repaired: 'set aside' })
  const summary = others.at(-1)
  t.match(summary, { kind: 'summary', corrupt: 1, missing: 2, repaired: 1, errors: 0 })
  t.equal((await fetch(`${product.url}/v2/team/app/blobs/${layer.digest}`, { method: 'HEAD' })).status, 404, 'a client will push it again')
  t.equal((await readdir(join(product.data, 'oci-registry/quarantine'))).length, 1)

  await push(t, product.url, 'team/app', manifest, 'latest')
  t.equal((await verify()).status, 0)
  t.equal(await product.stop(), 0)
})

t.test('a bad rate or grace is one line', async t => {
  const directory = t.testdir({ 'c.yml': 'version: 0.1\nstorage: inmemory\n', 'bad.yml': 'version: 0.1\nstorage: { inmemory: {}, maintenance: { verify: { rate: fast } } }\n' })
  const refusal = async (...args: string[]): Promise<string> => (await runCli(t, ['verify', ...args], directory)).stderr
  t.equal(await refusal('--rate', 'fast', 'c.yml'), 'oci-registry: --rate: a number of bytes such as 50MB is needed, not "fast"\n')
  t.equal(await refusal('--grace', 'long', 'c.yml'), 'oci-registry: --grace: time: invalid duration "long"\n')
  t.equal(await refusal('bad.yml'), 'oci-registry: storage.maintenance.verify.rate: a number of bytes such as 512kB, 50MB or 1GiB is needed, not "fast"\n')
})
