import { Readable } from 'node:stream'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { build, errorCodes } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { blob, image, index, pushBlob, pushManifest, sha256, sha512 } from '../helpers/images.js'
import type { Blob, Manifest } from '../helpers/images.js'
import { ownHeaders } from '../suites/registry-behaviour.js'

const OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json'
const LIMIT = 4 * 1024 * 1024

async function put (app: FastifyInstance, reference: string, payload: string | Buffer | Readable, type: string | undefined = OCI_IMAGE): Promise<LightMyRequestResponse> {
  const headers = type === undefined ? {} : { 'content-type': type }
  return await app.inject({ method: 'PUT', url: `/v2/team/app/manifests/${reference}`, headers, payload })
}

async function registryWithBlobs (t: Parameters<typeof build>[0], manifest: Manifest): Promise<FastifyInstance> {
  const app = await build(t)
  for (const content of manifest.blobs) await pushBlob(t, app, 'team/app', content)
  return app
}

/** The same manifest, filled up with blanks to a number of bytes. */
function padded ({ bytes }: Manifest, size: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(size - bytes.length, ' ')])
}

t.test('a push by tag and by digest is answered with Location and digest (R-154)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  for (const reference of ['1.0', manifest.digest, '1.0']) {
    const response = await put(app, reference, manifest.bytes)
    t.equal(response.statusCode, 201)
    t.same(ownHeaders(response), {
      location: `/v2/team/app/manifests/${manifest.digest}`,
      'docker-content-digest': manifest.digest,
      'content-length': '0',
      'docker-distribution-api-version': 'registry/2.0'
    })
  }
})

t.test('bytes are kept as they came: blanks, order, unknown fields, odd keys (R-155, R-162, R-184)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  const text = `  {"zzz": 1e2,"__proto__":{"a":1},\n${manifest.bytes.toString().slice(1)}\n\n`
  t.equal((await put(app, '1.0', text)).statusCode, 201)
  t.equal((await app.inject('/v2/team/app/manifests/1.0')).body, text)
})

t.test('a manifest by tag has the digest it was pushed with, by digest the one asked for (R-145, R-157)', async t => {
  const app = await build(t)
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, 'tag')
  await pushManifest(t, app, 'team/app', manifest, sha512(manifest.bytes))
  for (const [reference, digest] of [['tag', manifest.digest], [manifest.digest, manifest.digest], [sha512(manifest.bytes), sha512(manifest.bytes)]]) {
    const { headers, rawPayload } = await app.inject(`/v2/team/app/manifests/${reference}`)
    t.equal(headers['docker-content-digest'], digest)
    t.equal(headers['etag'], `"${digest}"`)
    t.same(rawPayload, manifest.bytes)
  }
})

t.test('a push by a digest the bytes do not have is refused and nothing is stored (R-156)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  const changed = Buffer.concat([manifest.bytes, Buffer.from('  ')])
  for (const digest of [manifest.digest, sha512(manifest.bytes)]) {
    t.same(errorCodes(t, await put(app, digest, changed), 400), ['DIGEST_INVALID'])
    t.same(errorCodes(t, await app.inject(`/v2/team/app/manifests/${digest}`), 404), ['MANIFEST_UNKNOWN'])
  }
  t.same(errorCodes(t, await app.inject(`/v2/team/app/manifests/${sha256(changed)}`), 404), ['MANIFEST_UNKNOWN'])
  t.same(errorCodes(t, await app.inject('/v2/team/app/tags/list'), 404), ['NAME_UNKNOWN'])
})

t.test('what cannot be a tag is unknown to GET, HEAD and DELETE and refused by PUT (R-031, R-032)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  for (const tag of ['.INVALID_MANIFEST_NAME', '-a', 'a'.repeat(129), 'a%20b', 'a+b', '%C3%A4']) {
    const url = `/v2/team/app/manifests/${tag}`
    t.same(errorCodes(t, await app.inject(url), 404), ['MANIFEST_UNKNOWN'], tag)
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 404, tag)
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url }), 404), ['MANIFEST_UNKNOWN'], tag)
    t.same(errorCodes(t, await put(app, tag, manifest.bytes), 400), ['TAG_INVALID'], tag)
  }
})

t.test('a malformed digest is refused by every method (R-036, R-037, R-038, R-152)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  const { digest } = manifest
  for (const bad of ['sha256:baddigeststring', digest.toUpperCase(), `sha256:${digest.slice(7).toUpperCase()}`, `${digest}0`, digest.slice(0, -1), 'md5:d41d8cd98f00b204e9800998ecf8427e', 'sha256:', ':x']) {
    const url = `/v2/team/app/manifests/${bad}`
    t.same(errorCodes(t, await app.inject(url), 400), ['DIGEST_INVALID'], bad)
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 400, bad)
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url }), 400), ['DIGEST_INVALID'], bad)
    t.same(errorCodes(t, await put(app, bad, manifest.bytes), 400), ['DIGEST_INVALID'], bad)
  }
})

t.test('unknown manifests are MANIFEST_UNKNOWN, in known and unknown repositories (R-147, R-193, R-194)', async t => {
  const app = await build(t)
  await pushManifest(t, app, 'team/app', image(), '1.0')
  for (const [name, reference] of [['team/app', '2.0'], ['team/app', sha256('x')], ['team/app', 'LATEST'], ['no/such', '1.0'], ['no/such', sha512('x')]]) {
    const url = `/v2/${name}/manifests/${reference}`
    t.same(errorCodes(t, await app.inject(url), 404), ['MANIFEST_UNKNOWN'])
    const head = await app.inject({ method: 'HEAD', url })
    t.equal(head.statusCode, 404)
    t.equal(head.body, '')
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url }), 404), ['MANIFEST_UNKNOWN'])
  }
})

t.test('a repository shows only its own manifests, and no blob as a manifest or the other way round (R-040)', async t => {
  const app = await build(t)
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, '1.0')
  t.same(errorCodes(t, await app.inject(`/v2/team/other/manifests/${manifest.digest}`), 404), ['MANIFEST_UNKNOWN'])
  t.same(errorCodes(t, await app.inject(`/v2/team/app/manifests/${manifest.blobs[0]?.digest}`), 404), ['MANIFEST_UNKNOWN'])
  t.same(errorCodes(t, await app.inject(`/v2/team/app/blobs/${manifest.digest}`), 404), ['BLOB_UNKNOWN'])
})

t.test('the stored type is served whatever Accept lists (R-012, R-148, R-153)', async t => {
  const app = await build(t)
  const top = index([])
  await pushManifest(t, app, 'team/app', top, '1.0')
  for (const accept of ['', '*/*', OCI_IMAGE, DOCKER_IMAGE, 'application/vnd.docker.distribution.manifest.v1+json', 'text/plain;q=0']) {
    const response = await app.inject({ url: '/v2/team/app/manifests/1.0', headers: { accept } })
    t.equal(response.statusCode, 200, accept)
    t.equal(response.headers['content-type'], 'application/vnd.oci.image.index.v1+json')
    t.same(response.rawPayload, top.bytes)
  }
})

t.test('If-None-Match with the entity tag is 304 without a body (R-018, R-149)', async t => {
  const app = await build(t)
  const manifest = image()
  const { digest } = manifest
  await pushManifest(t, app, 'team/app', manifest, '1.0')
  for (const condition of [`"${digest}"`, digest, `W/"${digest}"`, `"x", "${digest}"`, '*']) {
    for (const method of ['GET', 'HEAD'] as const) {
      const response = await app.inject({ method, url: '/v2/team/app/manifests/1.0', headers: { 'if-none-match': condition } })
      t.equal(response.statusCode, 304, condition)
      t.equal(response.body, '')
      t.same(ownHeaders(response), { 'cache-control': 'no-cache', etag: `"${digest}"`, 'docker-content-digest': digest, 'docker-distribution-api-version': 'registry/2.0' })
    }
  }
  const changed = await app.inject({ url: '/v2/team/app/manifests/1.0', headers: { 'if-none-match': `"${sha256('x')}", "y"` } })
  t.equal(changed.statusCode, 200)
})

t.test('an entity tag does not keep alive what is gone', async t => {
  const app = await build(t)
  const response = await app.inject({ url: '/v2/team/app/manifests/1.0', headers: { 'if-none-match': '*' } })
  t.same(errorCodes(t, response, 404), ['MANIFEST_UNKNOWN'])
  t.notOk(response.headers['etag'])
})

t.test('a Range on a manifest is passed over (R-151)', async t => {
  const app = await build(t)
  const manifest = image()
  await pushManifest(t, app, 'team/app', manifest, '1.0')
  const response = await app.inject({ url: '/v2/team/app/manifests/1.0', headers: { range: 'bytes=0-1' } })
  t.equal(response.statusCode, 200)
  t.same(response.rawPayload, manifest.bytes)
})

t.test('parameters and case of the Content-Type say nothing and are not echoed (R-012, R-158)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  for (const type of [`${OCI_IMAGE}; charset=utf-8`, OCI_IMAGE.toUpperCase(), ` ${OCI_IMAGE} ;x=y`]) {
    t.equal((await put(app, '1.0', manifest.bytes, type)).statusCode, 201, type)
    t.equal((await app.inject('/v2/team/app/manifests/1.0')).headers['content-type'], OCI_IMAGE)
  }
})

t.test('a Content-Type that contradicts the manifest, or is none of a manifest, is refused (R-159, R-161)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  for (const type of [DOCKER_IMAGE, 'application/vnd.oci.image.index.v1+json', 'text/plain', 'application/vnd.docker.distribution.manifest.v1+json', 'application/x-www-form-urlencoded']) {
    t.same(errorCodes(t, await put(app, '1.0', manifest.bytes, type), 400), ['MANIFEST_INVALID'], type)
  }
  t.equal((await app.inject('/v2/team/app/manifests/1.0')).statusCode, 404)
})

t.test('a Content-Type that is empty or no media type says nothing: the manifest decides (R-024, R-161)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  const { mediaType, ...rest } = JSON.parse(manifest.bytes.toString()) as Record<string, unknown>
  t.equal(mediaType, OCI_IMAGE)
  for (const type of ['', 'nonsense', 'a b/c', ';charset=utf-8']) {
    t.equal((await put(app, '1.0', manifest.bytes, type)).statusCode, 201, type)
    t.equal((await app.inject('/v2/team/app/manifests/1.0')).headers['content-type'], OCI_IMAGE)
    t.same(errorCodes(t, await put(app, '2.0', JSON.stringify(rest), type), 400), ['MANIFEST_INVALID'], type)
  }
})

t.test('without mediaType the Content-Type decides, and the other way round (R-160, R-161)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  const { mediaType, ...rest } = JSON.parse(manifest.bytes.toString()) as Record<string, unknown>
  t.equal(mediaType, OCI_IMAGE)
  t.equal((await put(app, 'docker', JSON.stringify(rest), DOCKER_IMAGE)).statusCode, 201)
  t.equal((await app.inject('/v2/team/app/manifests/docker')).headers['content-type'], DOCKER_IMAGE)
  for (const type of ['application/json', 'application/octet-stream']) {
    t.equal((await put(app, 'generic', manifest.bytes, type)).statusCode, 201, type)
    t.equal((await app.inject('/v2/team/app/manifests/generic')).headers['content-type'], OCI_IMAGE)
    t.same(errorCodes(t, await put(app, 'neither', JSON.stringify(rest), type), 400), ['MANIFEST_INVALID'], type)
  }
  const untyped = await app.inject({ method: 'PUT', url: '/v2/team/app/manifests/untyped', payload: manifest.bytes })
  t.equal(untyped.statusCode, 201)
})

t.test('each missing blob or child is named once, and nothing is stored (R-169, R-170)', async t => {
  const app = await build(t)
  const manifest = image()
  const [config, layer] = manifest.blobs as [Blob, Blob]
  const refused = await put(app, '1.0', manifest.bytes)
  t.same(errorCodes(t, refused, 400), ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
  t.same(refused.json<ErrorBody>().errors.map(({ detail }) => detail), [config.digest, layer.digest])
  const top = index([manifest, manifest])
  t.same(errorCodes(t, await put(app, '2.0', top.bytes, top.mediaType), 400), ['MANIFEST_BLOB_UNKNOWN'])
  t.same(errorCodes(t, await app.inject('/v2/team/app/manifests/1.0'), 404), ['MANIFEST_UNKNOWN'])
  t.same(errorCodes(t, await app.inject(`/v2/team/app/manifests/${top.digest}`), 404), ['MANIFEST_UNKNOWN'])
})

t.test('a blob of another repository counts as missing (R-040)', async t => {
  const app = await build(t)
  const manifest = image()
  for (const content of manifest.blobs) await pushBlob(t, app, 'team/other', content)
  t.same(errorCodes(t, await put(app, '1.0', manifest.bytes), 400), ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN'])
})

t.test('a subject is echoed in OCI-Subject, whether it exists or not (R-171, R-172)', async t => {
  const subject = blob('absent', OCI_IMAGE)
  const descriptor = { mediaType: subject.mediaType, digest: subject.digest, size: subject.size }
  const manifest = image('layer', { subject: descriptor })
  const app = await registryWithBlobs(t, manifest)
  const top = index([], { subject: descriptor })
  for (const { bytes, digest, mediaType } of [manifest, top]) {
    for (const reference of ['1.0', digest]) {
      const response = await put(app, reference, bytes, mediaType)
      t.equal(response.statusCode, 201)
      t.equal(response.headers['oci-subject'], subject.digest)
    }
  }
  const plain = image()
  t.notOk((await put(app, '2.0', plain.bytes)).headers['oci-subject'])
})

t.test('a malformed subject is refused (R-173)', async t => {
  const app = await registryWithBlobs(t, image())
  for (const subject of ['text', {}, { mediaType: 'a/b', size: 1 }, { mediaType: 'a/b', size: 1, digest: 'sha256:x' }, [], null, 5]) {
    const { bytes } = image('layer', { subject })
    t.same(errorCodes(t, await put(app, '1.0', bytes), 400), ['MANIFEST_INVALID'], JSON.stringify(subject))
  }
})

t.test('a manifest of 4 MiB is taken, one byte more is 413, with and without a declared length (R-025, R-177, R-178)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  const largest = padded(manifest, LIMIT)
  t.equal((await put(app, 'known', largest)).statusCode, 201)
  t.equal((await put(app, 'chunked', Readable.from([largest.subarray(0, 1000), largest.subarray(1000)]))).statusCode, 201)
  t.same((await app.inject('/v2/team/app/manifests/chunked')).rawPayload, largest)
  const larger = padded(manifest, LIMIT + 1)
  t.same(errorCodes(t, await put(app, 'more', larger), 413), ['MANIFEST_INVALID'])
  t.same(errorCodes(t, await put(app, 'more', Readable.from([larger])), 413), ['MANIFEST_INVALID'])
  t.equal((await app.inject('/v2/team/app/manifests/more')).statusCode, 404)
})

t.test('what is no JSON object in UTF-8 is MANIFEST_INVALID, never a fault of ours (R-179)', async t => {
  const manifest = image()
  const app = await registryWithBlobs(t, manifest)
  const text = manifest.bytes.toString()
  const bodies = [
    '', '[]', '5', 'null', '"x"', 'true', '{', text.slice(0, -1), `${text}x`, `\ufeff${text}`, Buffer.from(text, 'utf16le'),
    Buffer.from([0x1f, 0x8b, 8, 0]), Buffer.from([0x7b, 0xff, 0x7d]), '{}', text.replace('"schemaVersion":2', '"schemaVersion":1'),
    text.replace('"layers":[', '"manifests":[],"layers":[')
  ]
  for (const body of bodies) {
    t.same(errorCodes(t, await put(app, '1.0', body), 400), ['MANIFEST_INVALID'], String(body).slice(0, 60))
  }
})

t.test('deleting a tag leaves the manifest and its other tags (R-190, R-192)', async t => {
  const app = await build(t)
  const manifest = image()
  for (const tag of ['a', 'b']) await pushManifest(t, app, 'team/app', manifest, tag)
  const response = await app.inject({ method: 'DELETE', url: '/v2/team/app/manifests/a' })
  t.equal(response.statusCode, 202)
  t.equal(response.headers['content-length'], '0')
  t.equal((await app.inject({ method: 'HEAD', url: '/v2/team/app/manifests/a' })).statusCode, 404)
  t.equal((await app.inject(`/v2/team/app/manifests/${manifest.digest}`)).statusCode, 200)
  t.same((await app.inject('/v2/team/app/tags/list')).json(), { name: 'team/app', tags: ['b'] })
})

t.test('deleting a digest takes every tag on it along, and no other (R-191, R-199)', async t => {
  const app = await build(t)
  const manifest = image()
  for (const tag of ['a', 'b']) await pushManifest(t, app, 'team/app', manifest, tag)
  await pushManifest(t, app, 'team/app', image('other'), 'c')
  t.equal((await app.inject({ method: 'DELETE', url: `/v2/team/app/manifests/${manifest.digest}` })).statusCode, 202)
  for (const reference of [manifest.digest, 'a', 'b']) {
    t.equal((await app.inject({ method: 'HEAD', url: `/v2/team/app/manifests/${reference}` })).statusCode, 404)
  }
  t.same((await app.inject('/v2/team/app/tags/list')).json(), { name: 'team/app', tags: ['c'] })
})

t.test('an index, its children and their blobs are deleted in any order, and can be pushed again (R-196, R-197)', async t => {
  for (const order of [(urls: string[]) => urls, (urls: string[]) => urls.toReversed()]) {
    const app = await build(t)
    const child = image()
    const top = index([child])
    await pushManifest(t, app, 'team/app', child)
    await pushManifest(t, app, 'team/app', top, '1.0')
    const urls = [`manifests/${top.digest}`, `manifests/${child.digest}`, ...child.blobs.map(({ digest }) => `blobs/${digest}`)]
    for (const url of order(urls)) t.equal((await app.inject({ method: 'DELETE', url: `/v2/team/app/${url}` })).statusCode, 202, url)
    await pushManifest(t, app, 'team/app', child)
    await pushManifest(t, app, 'team/app', top, '1.0')
    t.equal((await app.inject('/v2/team/app/manifests/1.0')).statusCode, 200)
  }
})

t.test('a deleted manifest leaves the referrers of its subject at once (R-198)', async t => {
  const app = await build(t)
  const subject = image()
  const manifest = image('signature', { subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size } })
  await pushManifest(t, app, 'team/app', manifest)
  const list = async () => (await app.inject(`/v2/team/app/referrers/${subject.digest}`)).json<{ manifests: unknown[] }>().manifests.length
  t.equal(await list(), 1)
  t.equal((await app.inject({ method: 'DELETE', url: `/v2/team/app/manifests/${manifest.digest}` })).statusCode, 202)
  t.equal(await list(), 0)
})
