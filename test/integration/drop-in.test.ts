import { createHash } from 'node:crypto'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { client, needs, skopeo } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { writeOciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'

const ACCEPT = [
  'application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json', 'application/vnd.docker.distribution.manifest.v2+json'
].join(', ')
const INSECURE = ['--src-tls-verify=false', '--dest-tls-verify=false']

/** Everything a registry serves: repository → tag → digest, and the bytes behind every digest by their hash. */
interface Contents { readonly tags: Record<string, Record<string, string>>, readonly bytes: Record<string, string> }

interface Reference { readonly digest: string }
interface ManifestJson { readonly config?: Reference, readonly layers?: Reference[], readonly manifests?: Reference[] }

/** Reads a registry to the last byte, through the API, and checks every digest on the way. */
async function contentsOf (t: Test, url: string): Promise<Contents> {
  const tags: Record<string, Record<string, string>> = {}
  const bytes: Record<string, string> = {}
  const { repositories } = await json<{ repositories: string[] }>(`${url}/v2/_catalog?n=100`)
  for (const name of repositories) {
    const { tags: list } = await json<{ tags: string[] | null }>(`${url}/v2/${name}/tags/list`)
    const found: Record<string, string> = {}
    for (const tag of (list ?? []).toSorted()) found[tag] = await walk(name, tag)
    tags[name] = found
  }
  return { tags, bytes }

  async function walk (name: string, reference: string): Promise<string> {
    const response = await fetch(`${url}/v2/${name}/manifests/${reference}`, { headers: { accept: ACCEPT } })
    t.equal(response.status, 200, `${name} ${reference}`)
    const body = Buffer.from(await response.arrayBuffer())
    const digest = response.headers.get('docker-content-digest') ?? ''
    t.equal(digest, sha256(body))
    bytes[`${name}@${digest}`] = `${response.headers.get('content-type')} ${body.length}`
    const { config, layers = [], manifests = [] } = JSON.parse(body.toString()) as ManifestJson
    for (const child of manifests) await walk(name, child.digest)
    for (const { digest: blob } of [...(config === undefined ? [] : [config]), ...layers]) {
      const content = Buffer.from(await (await fetch(`${url}/v2/${name}/blobs/${blob}`)).arrayBuffer())
      t.equal(sha256(content), blob)
      bytes[`${name}@${blob}`] = String(content.length)
    }
    return digest
  }
}

async function json<T> (url: string): Promise<T> {
  return await (await fetch(url)).json() as T
}

function sha256 (bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Images of several kinds, tags that moved and tags that went, pushed with a real client. */
async function fill (t: Test, host: string, source: string): Promise<void> {
  const to = (name: string): string => `docker://${host}/${name}`
  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${source}:1.0`, to('team/app:1.0'))
  await skopeo('copy', '--dest-tls-verify=false', '--format', 'v2s2', `oci:${source}:1.0`, to('library/docker:2'))
  await skopeo('copy', '--all', ...INSECURE, to('team/app:1.0'), to('team/app/nested/deep:moved'))
  await skopeo('copy', ...INSECURE, to('library/docker:2'), to('team/app/nested/deep:moved'))
  await skopeo('copy', ...INSECURE, to('library/docker:2'), to('team/gone:1'))
  await skopeo('delete', '--tls-verify=false', to('team/gone:1'))
  const upload = await fetch(`http://${host}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  t.equal(upload.status, 202)
  const location = new URL(upload.headers.get('location') ?? '', `http://${host}`)
  t.equal((await fetch(location, { method: 'PATCH', body: 'never finished', headers: { 'content-type': 'application/octet-stream' } })).status, 202)
}

async function sourceLayout (t: Test, directory: string, name: string): Promise<string> {
  const source = join(directory, name)
  await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 300_000 })
  return source
}

t.test('data of docker\'s registry is served whole, added to, and served by docker\'s registry again', needs('skopeo', 'docker-registry'), async t => {
  const directory = t.testdir()
  const data = join(directory, 'data')
  const source = await sourceLayout(t, directory, 'first')
  const before = await startDockerRegistry(t, directory, data)
  await fill(t, before.host, source)
  const theirs = await contentsOf(t, before.url)
  await before.stop()
  t.same(Object.keys(theirs.tags).sort(), ['library/docker', 'team/app', 'team/app/nested/deep', 'team/gone'])

  const product = await startProduct(t, directory)
  t.same(await contentsOf(t, product.url), theirs, 'every tag, digest, type and byte')
  const second = await sourceLayout(t, directory, 'second')
  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${second}:1.0`, `docker://${product.host}/team/app:2.0`)
  await skopeo('copy', '--all', '--dest-tls-verify=false', `oci:${second}:1.0`, `docker://${product.host}/new/by-us:1`)
  await skopeo('copy', ...INSECURE, `docker://${product.host}/library/docker:2`, `docker://${product.host}/team/app:1.0`)
  const ours = await contentsOf(t, product.url)
  t.equal(ours.tags['team/app']?.['1.0'], theirs.tags['library/docker']?.['2'], 'a tag was moved')
  t.equal(await product.stop(), 0)

  const after = await startDockerRegistry(t, directory, data)
  t.same(await contentsOf(t, after.url), ours, 'nothing is lost on the way back')
})

t.test('docker\'s garbage collector keeps what we tagged, and is not held up by files of ours', needs('skopeo', 'docker-registry'), async t => {
  const directory = t.testdir()
  const source = await sourceLayout(t, directory, 'source')
  const product = await startProduct(t, directory)
  await fill(t, product.host, source)
  const index = await (await fetch(`${product.url}/v2/team/app/manifests/1.0`, { headers: { accept: ACCEPT } })).text()
  const subject = { mediaType: 'application/vnd.oci.image.index.v1+json', digest: sha256(Buffer.from(index)), size: index.length }
  const referrer = JSON.stringify({ schemaVersion: 2, mediaType: subject.mediaType, manifests: [], subject })
  t.equal((await fetch(`${product.url}/v2/team/app/manifests/referrer`, { method: 'PUT', body: referrer, headers: { 'content-type': subject.mediaType } })).status, 201)
  const ours = await contentsOf(t, product.url)
  await product.stop()

  const copy = join(directory, 'copy')
  await cp(join(directory, 'data'), copy, { recursive: true })
  const oracle = await startDockerRegistry(t, directory, copy)
  await oracle.stop()
  const report = await client('docker-registry', 'garbage-collect', oracle.configFile)
  t.match(report, /blobs marked/)
  const swept = await startDockerRegistry(t, directory, copy)
  t.same(await contentsOf(t, swept.url), ours)
})
