import { randomBytes } from 'node:crypto'
import { cp, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { OCI_INDEX, OCI_MANIFEST } from '../../schemas/media-types.js'
import { client, needs, skopeo } from '../helpers/clients.js'
import { startDockerRegistry } from '../helpers/docker-registry.js'
import { blob, image, index, sha256 } from '../helpers/images.js'
import type { Blob, Manifest } from '../helpers/images.js'
import { writeOciLayout } from '../helpers/oci-layout.js'
import { startProduct } from '../helpers/product.js'

const TYPES = [
  OCI_INDEX, OCI_MANIFEST, 'application/vnd.docker.distribution.manifest.list.v2+json', 'application/vnd.docker.distribution.manifest.v2+json'
].join(', ')
const OCTETS = { 'content-type': 'application/octet-stream' }

/** What a registry says about one thing; of what is not there only that. */
async function ask (url: string, path: string): Promise<string> {
  const { status, headers, ...response } = await answer(`${url}/v2/${path}`, { headers: { accept: TYPES } })
  if (status !== 200) return String(status)
  return [headers.get('content-type'), headers.get('docker-content-digest'), headers.get('content-length'), sha256(response.body)].join(' ')
}

async function answer (url: string | URL, init: RequestInit = {}): Promise<{ status: number, headers: Headers, body: Buffer }> {
  const response = await fetch(url, init)
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
}

/** Everything that is served: the lists, every tag, and the paths a test knows of, found or not. */
async function served (url: string, paths: readonly string[]): Promise<Record<string, unknown>> {
  const { repositories } = JSON.parse((await answer(`${url}/v2/_catalog`)).body.toString()) as { repositories: string[] }
  const found: Record<string, unknown> = { repositories }
  for (const name of repositories) {
    const { tags } = JSON.parse((await answer(`${url}/v2/${name}/tags/list`)).body.toString()) as { tags: string[] | null }
    for (const tag of (tags ?? []).toSorted()) found[`${name}:${tag}`] = await ask(url, `${name}/manifests/${tag}`)
  }
  for (const path of paths) found[path] = await ask(url, path)
  return found
}

async function must (t: Test, status: number, method: string, url: string | URL, init: RequestInit = {}): Promise<Headers> {
  const given = await answer(url, { method, ...init })
  t.equal(given.status, status, `${method} ${new URL(url).pathname} ${given.body.toString()}`)
  return given.headers
}

async function startUpload (t: Test, url: string, name: string): Promise<URL> {
  return locationOf(await must(t, 202, 'POST', `${url}/v2/${name}/blobs/uploads/`), url)
}

function locationOf (headers: Headers, url: string): URL {
  return new URL(headers.get('location') ?? '', url)
}

/** Pushes bytes in as many chunks as they are given in. */
async function pushChunks (t: Test, url: string, name: string, chunks: readonly Uint8Array[]): Promise<string> {
  let location = await startUpload(t, url, name)
  for (const body of chunks) location = locationOf(await must(t, 202, 'PATCH', location, { headers: OCTETS, body }), url)
  const digest = sha256(Buffer.concat(chunks))
  location.searchParams.set('digest', digest)
  await must(t, 201, 'PUT', location)
  return `${name}/blobs/${digest}`
}

async function tag (t: Test, url: string, name: string, reference: string, { bytes, mediaType, digest }: Blob): Promise<string> {
  await must(t, 201, 'PUT', `${url}/v2/${name}/manifests/${reference}`, { headers: { 'content-type': mediaType }, body: bytes })
  return `${name}/manifests/${digest}`
}

/** A whole image by tag, and the paths of all that it is made of. */
async function pushImage (t: Test, url: string, name: string, reference: string, manifest: Manifest): Promise<string[]> {
  const paths: string[] = []
  for (const { bytes } of manifest.blobs) paths.push(await pushChunks(t, url, name, [bytes]))
  return [...paths, await tag(t, url, name, reference, manifest)]
}

/** Every kind of thing a data directory can hold, written through the API of either server; says what to look at later. */
async function fill (t: Test, { url, host }: { url: string, host: string }, directory: string): Promise<{ paths: string[], session: URL, first: Manifest }> {
  const source = join(directory, `source-${sha256(url).slice(7, 15)}`)
  const layout = await writeOciLayout(source, { tag: '1.0', architectures: ['amd64', 'arm64'], layerBytes: 200_000 })
  const to = (image: string): string[] => ['--dest-tls-verify=false', `oci:${source}:1.0`, `docker://${host}/${image}`]
  await skopeo('copy', '--all', ...to('team/app:1.0'))
  await skopeo('copy', '--all', ...to('team/app:latest'))
  await skopeo('copy', '--format', 'v2s2', ...to('library/docker:2'))
  await skopeo('copy', '--all', ...to('team/app/nested/deep:1'))
  const paths = [layout.index, ...layout.manifests].map(({ digest }) => `team/app/manifests/${digest}`)
  paths.push(...layout.layers.flatMap(({ digest }) => [`team/app/blobs/${digest}`, `team/app/nested/deep/blobs/${digest}`]))

  const [first, second, gone] = [image('first'), image('second'), image('gone')]
  paths.push(...await pushImage(t, url, 'team/moved', 'moving', first), ...await pushImage(t, url, 'team/moved', 'moving', second))
  const [layer] = layout.layers
  await must(t, 201, 'POST', `${url}/v2/team/moved/blobs/uploads/?mount=${layer?.digest ?? ''}&from=team/app`)
  paths.push(`team/moved/blobs/${layer?.digest ?? ''}`)

  paths.push(...await pushImage(t, url, 'team/moved', 'gone', gone))
  await must(t, 202, 'DELETE', `${url}/v2/team/moved/manifests/${gone.digest}`)
  for (const { digest } of gone.blobs) await must(t, 202, 'DELETE', `${url}/v2/team/moved/blobs/${digest}`)
  const started = await startUpload(t, url, 'team/moved')
  const session = locationOf(await must(t, 202, 'PATCH', started, { headers: OCTETS, body: 'never finished' }), url)
  return { paths, session, first }
}

t.test('what docker\'s registry wrote is served as it was, changed here, and served by it as we left it', needs('docker-registry', 'skopeo'), async t => {
  const directory = t.testdir()
  const data = join(directory, 'data')
  const before = await startDockerRegistry(t, directory, data)
  const { paths, first } = await fill(t, before, directory)
  const theirs = await served(before.url, paths)
  await before.stop()
  t.same(theirs['repositories'], ['library/docker', 'team/app', 'team/app/nested/deep', 'team/moved'])
  t.equal(Object.values(theirs).filter(value => value === '404').length, 3, 'the deleted manifest and its two blobs are gone, and nothing else')

  const product = await startProduct(t, directory)
  const { url } = product
  t.same(await served(url, paths), theirs)

  paths.push(await pushChunks(t, url, 'team/moved', [randomBytes(70_000), randomBytes(1), randomBytes(130_000)]))
  paths.push(...await pushImage(t, url, 'added/by/us', '1', image('ours')))
  paths.push(await tag(t, url, 'team/moved', 'again', first))
  const latest = await answer(`${url}/v2/team/app/nested/deep/manifests/1`, { headers: { accept: TYPES } })
  t.equal(JSON.parse(latest.body.toString()).manifests.length, 2)
  const moved = image('moved by us')
  paths.push(...await pushImage(t, url, 'team/app', 'latest', moved))
  await must(t, 202, 'DELETE', `${url}/v2/library/docker/manifests/${String(theirs['library/docker:2']).split(' ')[1] ?? ''}`)
  await must(t, 202, 'DELETE', `${url}/v2/team/app/nested/deep/manifests/1`)
  const ours = await served(url, paths)
  t.match(ours['team/app:latest'], moved.digest)
  t.equal(ours['team/moved:again'], ours[`team/moved/manifests/${first.digest}`])
  t.notOk('library/docker:2' in ours)
  t.notOk('team/app/nested/deep:1' in ours)
  t.equal(await product.stop(), 0)

  const after = await startDockerRegistry(t, directory, data)
  t.same(await served(after.url, paths), ours)
  await must(t, 202, 'DELETE', `${after.url}/v2/team/moved/manifests/${first.digest}`)
  t.equal(await ask(after.url, 'team/moved/manifests/again'), '404', 'it finds the tags that we gave')
})

t.test('where a tag has been is written down as docker\'s registry does it', needs('docker-registry', 'skopeo'), async t => {
  const directory = t.testdir()
  const before = await startDockerRegistry(t, directory, join(directory, 'data'))
  const { first } = await fill(t, before, directory)
  await before.stop()
  const product = await startProduct(t, directory)
  const third = image('third')
  await pushImage(t, product.url, 'team/moved', 'moving', third)
  await product.stop()

  const moving = join(directory, 'data/docker/registry/v2/repositories/team/moved/_manifests/tags/moving')
  const history = await readdir(join(moving, 'index/sha256'))
  t.same(history.sort(), [first, image('second'), third].map(({ digest }) => digest.slice('sha256:'.length)).sort())
  for (const hex of history) t.equal(await readFile(join(moving, 'index/sha256', hex, 'link'), 'utf8'), `sha256:${hex}`)
  t.equal(await readFile(join(moving, 'current/link'), 'utf8'), third.digest)
})

t.test('an upload that docker\'s registry was in the middle of goes on here', needs('docker-registry', 'skopeo'), async t => {
  const directory = t.testdir()
  const before = await startDockerRegistry(t, directory, join(directory, 'data'))
  const { session } = await fill(t, before, directory)
  await before.stop()
  const product = await startProduct(t, directory)

  // What the client was told by the other server, with the state that only that one understands.
  const location = new URL(`${session.pathname}${session.search}`, product.url)
  t.equal((await must(t, 204, 'GET', location)).get('range'), '0-13')
  const digest = sha256('never finished, until now')
  location.searchParams.set('digest', digest)
  await must(t, 201, 'PUT', location, { headers: OCTETS, body: ', until now' })
  t.equal((await answer(`${product.url}/v2/team/moved/blobs/${digest}`)).body.toString(), 'never finished, until now')
})

t.test('docker\'s garbage collector keeps all that is tagged in what we wrote, and takes what is not', needs('docker-registry', 'skopeo'), async t => {
  const directory = t.testdir()
  const product = await startProduct(t, directory)
  const { url } = product
  const { paths, first } = await fill(t, product, directory)
  const { mediaType, digest, size } = first
  const subject = { mediaType, digest, size }
  paths.push(...await pushImage(t, url, 'team/moved', 'referrer', image('referrer', { subject })))
  paths.push(await tag(t, url, 'team/moved', 'untyped', blob(JSON.stringify({ schemaVersion: 2, manifests: [], subject }), OCI_INDEX)))
  paths.push(await tag(t, url, 'team/moved', 'index', index([first, image('second')])))
  const orphan = await pushChunks(t, url, 'team/moved', [Buffer.from('nobody refers to it')])
  const ours = await served(url, paths)
  const referrers = await answer(`${url}/v2/team/moved/referrers/${digest}`)
  t.equal(JSON.parse(referrers.body.toString()).manifests.length, 2)
  await product.stop()

  const copy = join(directory, 'copy/data')
  await cp(join(directory, 'data'), copy, { recursive: true })
  const files = await readdir(copy, { recursive: true })
  const configured = await startDockerRegistry(t, directory, copy)
  await configured.stop()
  t.match(await client('docker-registry', 'garbage-collect', '--dry-run', configured.configFile), orphan.slice(-64))
  t.same(await readdir(copy, { recursive: true }), files, 'a dry run changes nothing')
  t.match(await client('docker-registry', 'garbage-collect', configured.configFile), orphan.slice(-64))
  t.not((await readdir(copy, { recursive: true })).length, files.length)

  const swept = await startDockerRegistry(t, directory, copy)
  t.same(await served(swept.url, paths), ours)
  t.equal(await ask(swept.url, orphan), '404')
  await swept.stop()
  const again = await startProduct(t, join(directory, 'copy'))
  t.same(await served(again.url, paths), ours)
  t.same((await answer(`${again.url}/v2/team/moved/referrers/${digest}`)).body.toString(), referrers.body.toString())
  t.equal(await ask(again.url, orphan), '404', 'its link is still there, its content is not')
  t.equal(await pushChunks(t, again.url, 'team/moved', [Buffer.from('nobody refers to it')]), orphan)
  t.match(await ask(again.url, orphan), 'application/octet-stream', 'and it can be pushed once more')
})
