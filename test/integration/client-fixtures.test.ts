import t from 'tap'
import type { Test } from 'tap'
import { OCI_MANIFEST } from '../../schemas/media-types.js'
import { startRegistry } from '../../testing.js'
import type { TestRegistry } from '../../testing.js'
import { blob, image, index, sha256 } from '../helpers/images.js'
import type { Blob, Manifest } from '../helpers/images.js'
import { rawRequest } from '../helpers/raw-http.js'
import type { RawAnswer } from '../helpers/raw-http.js'

// What real clients send, byte for byte where it matters: framing, headers that are there, headers that are missing.

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_ACCEPT = [
  'application/vnd.docker.distribution.manifest.list.v2+json', 'application/vnd.oci.image.index.v1+json', DOCKER_MANIFEST,
  OCI_MANIFEST, 'application/vnd.docker.distribution.manifest.v1+prettyjws', 'application/json'
].join('\r\naccept: ')
const NO_BODY = { 'content-length': '0' }
const OCTETS = { 'content-type': 'application/octet-stream' }

/** One client: its repository, and how it writes requests. */
class Client {
  readonly #registry: TestRegistry
  readonly #headers: Record<string, string>

  constructor (registry: TestRegistry, headers: Record<string, string> = {}) {
    this.#registry = registry
    this.#headers = headers
  }

  async send (method: string, path: string, headers: Record<string, string> = {}, body: Uint8Array | string = ''): Promise<RawAnswer> {
    const text = typeof body === 'string' ? body : Buffer.from(body).toString('latin1')
    return await rawRequest(this.#registry.host, method, path, { ...this.#headers, ...headers }, text)
  }

  /** Sends a body in chunked coding, in two chunks. */
  async sendChunked (method: string, path: string, headers: Record<string, string>, body: Uint8Array): Promise<RawAnswer> {
    const halves = [body.subarray(0, body.length >> 1), body.subarray(body.length >> 1)].filter(half => half.length > 0)
    const chunks = halves.map(half => `${half.length.toString(16)}\r\n${Buffer.from(half).toString('latin1')}\r\n`)
    return await this.send(method, path, { 'transfer-encoding': 'chunked', ...headers }, `${chunks.join('')}0\r\n\r\n`)
  }
}

/** Every one of these clients accepts an absolute Location and uses it against the same host. */
function locationOf (t: Test, answer: RawAnswer): string {
  const location = answer.headers.get('location')
  t.type(location, 'string', 'there is a Location')
  return new URL(location ?? '', 'http://registry.test').pathname
}

async function fixture (t: Test, headers?: Record<string, string>): Promise<Client> {
  const registry = await startRegistry()
  t.teardown(async () => { await registry.close() })
  return new Client(registry, headers)
}

async function dockerPushBlob (t: Test, client: Client, name: string, { bytes, digest, size }: Blob): Promise<void> {
  const post = await client.send('POST', `/v2/${name}/blobs/uploads/`, NO_BODY)
  t.equal(post.status, 202)
  t.match(post.headers.get('range'), /^0-0$/)
  const patch = await client.sendChunked('PATCH', locationOf(t, post), {}, bytes)
  t.equal(patch.status, 202)
  t.equal(patch.headers.get('range'), `0-${size - 1}`)
  const put = await client.send('PUT', `${locationOf(t, patch)}?digest=${encodeURIComponent(digest)}`, NO_BODY)
  t.equal(put.status, 201)
  t.equal(put.headers.get('docker-content-digest'), digest)
  locationOf(t, put)
  const head = await client.send('HEAD', `/v2/${name}/blobs/${digest}`)
  t.equal(head.status, 200)
  t.equal(head.headers.get('content-length'), String(size))
}

function dockerImage (seed: string): Manifest {
  const { blobs: [config, layer] } = image(seed) as Manifest & { blobs: [Blob, Blob] }
  const descriptor = ({ digest, size }: Blob, mediaType: string): object => ({ mediaType, size, digest })
  const content = {
    schemaVersion: 2,
    mediaType: DOCKER_MANIFEST,
    config: descriptor(config, 'application/vnd.docker.container.image.v1+json'),
    layers: [descriptor(layer, 'application/vnd.docker.image.rootfs.diff.tar.gzip')]
  }
  return { ...blob(JSON.stringify(content, null, 3), DOCKER_MANIFEST), blobs: [config, layer] }
}

t.test('docker: push with a connection per request, pull, a missing tag', async t => {
  const client = await fixture(t, { connection: 'close', 'accept-encoding': 'gzip' })
  t.equal((await client.send('GET', '/v2/')).status, 200)
  const pushed = dockerImage('docker')
  await Promise.all(pushed.blobs.map(async content => { await dockerPushBlob(t, client, 'docker/one', content) }))
  const put = await client.send('PUT', '/v2/docker/one/manifests/v1', { 'content-length': String(pushed.size), 'content-type': DOCKER_MANIFEST }, pushed.bytes)
  t.equal(put.status, 201)
  t.equal(put.headers.get('docker-content-digest'), pushed.digest)

  const head = await client.send('HEAD', '/v2/docker/one/manifests/v1', { accept: DOCKER_ACCEPT })
  t.equal(head.status, 200)
  t.equal(head.headers.get('docker-content-digest'), pushed.digest)
  t.equal(head.headers.get('content-type'), DOCKER_MANIFEST)
  t.equal(head.headers.get('content-length'), String(pushed.size))
  const get = await client.send('GET', `/v2/docker/one/manifests/${pushed.digest}`, { accept: DOCKER_ACCEPT })
  t.equal(get.body, pushed.bytes.toString('latin1'))
  for (const { digest, bytes } of pushed.blobs) {
    t.equal((await client.send('GET', `/v2/docker/one/blobs/${digest}`)).body, bytes.toString('latin1'))
  }
  const layer = pushed.blobs[1] as Blob
  const resumed = await client.send('GET', `/v2/docker/one/blobs/${layer.digest}`, { range: 'bytes=5-' })
  t.equal(resumed.status, 206)
  t.equal(resumed.headers.get('content-range'), `bytes 5-${layer.size - 1}/${layer.size}`)

  t.equal((await client.send('HEAD', '/v2/docker/one/manifests/nope', { accept: DOCKER_ACCEPT })).status, 404)
  const missing = await client.send('GET', '/v2/docker/one/manifests/nope', { accept: DOCKER_ACCEPT })
  t.equal(missing.status, 404)
  t.equal(missing.headers.get('content-type'), 'application/json')
  t.match(JSON.parse(missing.body), { errors: [{ code: 'MANIFEST_UNKNOWN' }] })
})

t.test('docker: cross-repository mount with an escaped query, and cancel of a session it does not need', async t => {
  const client = await fixture(t, { connection: 'close' })
  const layer = blob('shared layer')
  await dockerPushBlob(t, client, 'docker/one', layer)
  const mount = await client.send('POST', `/v2/docker/two/blobs/uploads/?from=docker%2Fone&mount=${encodeURIComponent(layer.digest)}`, NO_BODY)
  t.equal(mount.status, 201)
  t.equal((await client.send('HEAD', `/v2/docker/two/blobs/${layer.digest}`)).status, 200)
  const miss = await client.send('POST', `/v2/docker/two/blobs/uploads/?from=docker%2Fone&mount=${encodeURIComponent(sha256('absent'))}`, NO_BODY)
  t.equal(miss.status, 202)
  t.equal((await client.send('DELETE', locationOf(t, miss))).status, 204)
})

t.test('containerd: whole blobs in the PUT, HEAD of the manifest first, mount unescaped', async t => {
  const client = await fixture(t)
  const pushed = image('containerd')
  for (const { bytes, digest, size, mediaType } of pushed.blobs) {
    t.equal((await client.send('HEAD', `/v2/ctr/one/blobs/${digest}`, { accept: `${mediaType}, */*` })).status, 404)
    const post = await client.send('POST', '/v2/ctr/one/blobs/uploads/', NO_BODY)
    const put = await client.send('PUT', `${locationOf(t, post)}?digest=${encodeURIComponent(digest)}`, { ...OCTETS, 'content-length': String(size) }, bytes)
    t.equal(put.status, 201)
  }
  t.equal((await client.send('HEAD', '/v2/ctr/one/manifests/v1', { accept: `${OCI_MANIFEST}, */*` })).status, 404)
  t.equal((await client.send('PUT', '/v2/ctr/one/manifests/v1', { 'content-type': OCI_MANIFEST, 'content-length': String(pushed.size) }, pushed.bytes)).status, 201)
  const layer = pushed.blobs[1] as Blob
  t.equal((await client.send('POST', `/v2/ctr/two/blobs/uploads/?mount=${layer.digest}&from=ctr/one`, NO_BODY)).status, 201)
  const part = await client.send('GET', `/v2/ctr/one/blobs/${layer.digest}?ns=docker.io`, { range: 'bytes=0-', 'accept-encoding': 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5' })
  t.equal(part.status, 206)
  t.equal(part.headers.get('content-encoding'), undefined)
  t.equal(part.body, layer.bytes.toString('latin1'))
})

t.test('skopeo and podman: PATCH with a length, empty PUT with a type, inspect, delete', async t => {
  const client = await fixture(t, { connection: 'close', 'docker-distribution-api-version': 'registry/2.0' })
  const pushed = image('skopeo')
  for (const { bytes, digest, size } of pushed.blobs) {
    for (let i = 0; i < 2; i++) t.equal((await client.send('HEAD', `/v2/s/one/blobs/${digest}`)).status, 404)
    const post = await client.send('POST', '/v2/s/one/blobs/uploads/', NO_BODY)
    const patch = await client.send('PATCH', locationOf(t, post), { ...OCTETS, 'content-length': String(size) }, bytes)
    t.equal(patch.status, 202)
    const put = await client.send('PUT', `${locationOf(t, patch)}?digest=${encodeURIComponent(digest)}`, { ...OCTETS, ...NO_BODY })
    t.equal(put.status, 201)
  }
  t.equal((await client.send('PUT', '/v2/s/one/manifests/v1', { 'content-type': OCI_MANIFEST, 'content-length': String(pushed.size) }, pushed.bytes)).status, 201)
  t.equal((await client.send('GET', '/v2/s/one/manifests/v1', { accept: DOCKER_ACCEPT })).headers.get('content-type'), OCI_MANIFEST)
  t.same(JSON.parse((await client.send('GET', '/v2/s/one/tags/list')).body), { name: 's/one', tags: ['v1'] })
  t.equal((await client.send('DELETE', `/v2/s/one/manifests/${pushed.digest}`)).status, 202)
})

t.test('podman: one GET for many ranges of a layer', async t => {
  const client = await fixture(t)
  const layer = blob('0123456789abcdefghij')
  await dockerPushBlob(t, client, 'p/one', layer)
  const answer = await client.send('GET', `/v2/p/one/blobs/${layer.digest}`, { range: 'bytes=0-1,5-6,18-' })
  t.equal(answer.status, 206)
  const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(answer.headers.get('content-type') ?? '')?.[1]
  const parts = answer.body.split(`--${boundary}`).slice(1, -1).map(part => part.split('\r\n\r\n')[1]?.trimEnd())
  t.same(parts, ['01', '56', 'ij'])
})

t.test('crane and cosign: POST of JSON without a byte, signatures under a tag', async t => {
  const client = await fixture(t)
  const pushed = image('crane')
  for (const { bytes, digest } of pushed.blobs) {
    const post = await client.send('POST', '/v2/c/one/blobs/uploads/', { 'content-type': 'application/json', ...NO_BODY })
    t.equal(post.status, 202)
    const patch = await client.sendChunked('PATCH', locationOf(t, post), OCTETS, bytes)
    t.equal((await client.send('PUT', `${locationOf(t, patch)}?digest=${encodeURIComponent(digest)}`, { ...OCTETS, ...NO_BODY })).status, 201)
  }
  const signature = `sha256-${pushed.digest.slice(7)}.sig`
  for (const method of ['GET', 'HEAD']) t.equal((await client.send(method, `/v2/c/one/manifests/${signature}`)).status, 404)
  for (const tag of ['latest', signature]) {
    t.equal((await client.send('PUT', `/v2/c/one/manifests/${tag}`, { 'content-type': OCI_MANIFEST, 'content-length': String(pushed.size) }, pushed.bytes)).status, 201)
  }
  t.equal((await client.send('DELETE', `/v2/c/one/manifests/${signature}`)).status, 202)
  for (const suffix of ['att', 'sbom']) {
    t.equal((await client.send('DELETE', `/v2/c/one/manifests/sha256-${pushed.digest.slice(7)}.${suffix}`)).status, 404)
  }
  t.equal((await client.send('GET', '/v2/c/one/manifests/latest')).status, 200, 'the digest is left alone')
})

t.test('oras: probe of the referrers, attach with a subject, copy by mounts', async t => {
  const client = await fixture(t)
  t.equal((await client.send('GET', `/v2/o/one/referrers/sha256:${'0'.repeat(64)}`)).status, 200)
  const subject = image('subject')
  const attached = image('attached', { artifactType: 'application/vnd.example.sbom', subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size } })
  for (const { blobs, ...manifest } of [subject, attached]) {
    t.equal((await client.send('HEAD', `/v2/o/one/manifests/${manifest.digest}`)).status, 404)
    for (const { bytes, digest, size } of blobs) {
      const post = await client.send('POST', '/v2/o/one/blobs/uploads/', NO_BODY)
      t.equal((await client.send('PUT', `${locationOf(t, post)}?digest=${encodeURIComponent(digest)}`, { ...OCTETS, 'content-length': String(size) }, bytes)).status, 201)
    }
    const put = await client.send('PUT', `/v2/o/one/manifests/${manifest.digest}`, { 'content-type': OCI_MANIFEST, 'content-length': String(manifest.size) }, manifest.bytes)
    t.equal(put.status, 201)
    t.equal(put.headers.get('oci-subject'), manifest.digest === attached.digest ? subject.digest : undefined)
  }
  const referrers = await client.send('GET', `/v2/o/one/referrers/${subject.digest}?artifactType=application/vnd.example.sbom`)
  t.equal(referrers.headers.get('oci-filters-applied'), 'artifactType')
  t.match(JSON.parse(referrers.body), { manifests: [{ digest: attached.digest }] })
  const layer = subject.blobs[1] as Blob
  t.equal((await client.send('POST', `/v2/o/two/blobs/uploads/?mount=${layer.digest}&from=o/one`, NO_BODY)).status, 201)
})

t.test('buildkit: a cache index whose entries are layers', async t => {
  const client = await fixture(t)
  const layer = blob('cached layer', 'application/vnd.oci.image.layer.v1.tar+gzip')
  const config = blob('{"layers":[]}', 'application/vnd.buildkit.cacheconfig.v0')
  for (const content of [layer, config]) await dockerPushBlob(t, client, 'b/cache', content)
  const cache = index([layer, config])
  t.equal((await client.send('PUT', '/v2/b/cache/manifests/cache', { 'content-type': cache.mediaType, 'content-length': String(cache.size) }, cache.bytes)).status, 201)
})

t.test('scripts with curl: a form type on raw bytes, the digest appended with ? or &, a Location without its slash', async t => {
  const client = await fixture(t)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const content = blob('a=1&b=\u00ff', 'application/octet-stream')
  for (const join of ['?', '?x=y&']) {
    const post = await client.send('POST', '/v2/curl/one/blobs/uploads', NO_BODY)
    t.equal(post.status, 202)
    const put = await client.send('PUT', `${locationOf(t, post)}${join}digest=${content.digest}`, { ...form, 'content-length': String(content.size) }, content.bytes)
    t.equal(put.status, 201)
  }
})

t.test('the conformance program: an empty blob in chunked coding', async t => {
  const client = await fixture(t)
  const empty = blob('')
  const post = await client.send('POST', '/v2/conf/one/blobs/uploads/', NO_BODY)
  t.equal((await client.sendChunked('PUT', `${locationOf(t, post)}?digest=${encodeURIComponent(empty.digest)}`, OCTETS, empty.bytes)).status, 201)
  t.equal((await client.send('HEAD', `/v2/conf/one/blobs/${empty.digest}`)).headers.get('content-length'), '0')
})
