import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { OCI_INDEX } from '../../schemas/media-types.js'
import type { ErrorBody } from '../helpers/build.js'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import { blob, image, index, pushBlob, pushManifest, sha256, sha512 } from '../helpers/images.js'

interface Index { manifests: Array<{ digest: string, artifactType?: string }> }

t.test('a push by digest sets every tag of its query and names them (R-174)', async t => {
  const app = await build(t)
  const tags = Array.from({ length: 12 }, (_, i) => `t${i}`)
  const manifest = index([])
  const response = await app.inject({
    method: 'PUT', url: `/v2/a/manifests/${manifest.digest}?${[...tags, 't0'].map(tag => `tag=${tag}`).join('&')}`, headers: { 'content-type': OCI_INDEX }, payload: manifest.bytes
  })
  t.equal(response.statusCode, 201)
  t.equal(response.headers['oci-tag'], tags.join(', '), 'each once')
  for (const tag of tags) t.equal((await app.inject(`/v2/a/manifests/${tag}`)).headers['docker-content-digest'], manifest.digest)
})

t.test('a tag set with a sha512 push reports the sha512 digest (R-145, R-174)', async t => {
  const app = await build(t)
  const manifest = index([])
  const digest = sha512(manifest.bytes)
  await app.inject({ method: 'PUT', url: `/v2/a/manifests/${digest}?tag=long`, headers: { 'content-type': OCI_INDEX }, payload: manifest.bytes })
  t.equal((await app.inject({ method: 'HEAD', url: '/v2/a/manifests/long' })).headers['docker-content-digest'], digest)
})

t.test('too many tags are refused with 414, and nothing is stored (R-175)', async t => {
  const app = await build(t)
  const manifest = index([])
  const query = Array.from({ length: 65 }, (_, i) => `tag=t${i}`).join('&')
  const response = await app.inject({ method: 'PUT', url: `/v2/a/manifests/${manifest.digest}?${query}`, headers: { 'content-type': OCI_INDEX }, payload: manifest.bytes })
  t.same(errorCodes(t, response, 414), ['TAG_INVALID'])
  t.equal((await app.inject(`/v2/a/manifests/${manifest.digest}`)).statusCode, 404)
})

t.test('one bad tag refuses the whole push; tags in the query are for a push by digest (R-176)', async t => {
  const app = await build(t)
  const manifest = index([])
  const put = async (url: string): Promise<ReturnType<typeof errorCodes>> =>
    errorCodes(t, await app.inject({ method: 'PUT', url, headers: { 'content-type': OCI_INDEX }, payload: manifest.bytes }), 400)
  for (const bad of ['', '.x', 'x'.repeat(129), 'a%20b']) t.same(await put(`/v2/a/manifests/${manifest.digest}?tag=good&tag=${bad}`), ['TAG_INVALID'])
  t.same(await put('/v2/a/manifests/tagged?tag=other'), ['MANIFEST_INVALID'])
  t.equal((await app.inject('/v2/a/tags/list')).statusCode, 404, 'nothing is stored')
})

t.test('a push that is accepted but odd is answered with warnings of at most 4096 bytes (R-011)', async t => {
  const app = await build(t)
  const odd = image('odd')
  const { mediaType, ...content } = JSON.parse(odd.bytes.toString()) as { mediaType: string, layers: Array<{ size: number }>, config: object }
  const layer = { ...content.layers[0], size: 1 }
  const foreign = { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar', digest: sha256('elsewhere'), size: 9, urls: ['https://example.com/layer'] }
  for (const each of odd.blobs) await pushBlob(t, app, 'a', each)
  const response = await app.inject({
    method: 'PUT', url: '/v2/a/manifests/odd', headers: { 'content-type': mediaType }, payload: JSON.stringify({ ...content, layers: [layer, foreign] })
  })
  t.equal(response.statusCode, 201)
  const warnings = [response.headers['warning']].flat()
  t.equal(warnings.length, 3)
  for (const warning of warnings) t.match(warning, /^299 - "[^"\\]+"$/)
  t.ok(warnings.join('').length < 4096)
  const plain = image('plain')
  await pushManifest(t, app, 'a', plain)
  const again = await app.inject({ method: 'PUT', url: '/v2/a/manifests/plain', headers: { 'content-type': plain.mediaType }, payload: plain.bytes })
  t.equal(again.headers['warning'], undefined, 'nothing odd, no warning')
})

t.test('a list of referrers too large for one answer is paged, each page under 4 MiB, none missing (R-229)', async t => {
  const app = await build(t)
  const subject = { mediaType: OCI_INDEX, digest: sha256('subject'), size: 1 }
  const expected: string[] = []
  for (let i = 0; i < 5; i++) {
    const large = index([], { subject, artifactType: 'application/vnd.example.big+json', annotations: { number: String(i), text: 'x'.repeat(1_500_000) } })
    expected.push(large.digest)
    await pushManifest(t, app, 'team/app', large)
  }
  const found: string[] = []
  let url: string | undefined = `/v2/team/app/referrers/${subject.digest}?artifactType=application/vnd.example.big%2Bjson`
  let pages = 0
  while (url !== undefined) {
    const response: LightMyRequestResponse = await app.inject(url)
    t.equal(response.statusCode, 200)
    t.ok(response.rawPayload.length < 4 * 1024 * 1024)
    t.equal(response.headers['oci-filters-applied'], 'artifactType')
    found.push(...response.json<Index>().manifests.map(({ digest }) => digest))
    url = /^<([^>]+)>; rel="next"$/.exec(String(response.headers['link']))?.[1]
    pages++
  }
  t.equal(pages, 3)
  t.same(found, expected.sort())
})

t.test('every new manifest with a subject appears, and fall-back tags are tags like others (R-234, R-236, R-039)', async t => {
  const app = await build(t)
  const subject = image('subject')
  await pushManifest(t, app, 'a', subject)
  const referrer = index([], { subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size } })
  await pushManifest(t, app, 'a', referrer)
  const tag = `sha256-${subject.digest.slice(7)}`
  await pushManifest(t, app, 'a', index([referrer]), tag)
  const listed = (await app.inject(`/v2/a/referrers/${subject.digest}`)).json<Index>()
  t.same(listed.manifests.map(({ digest }) => digest), [referrer.digest], 'once, though both the index and the tag know it')
  t.equal((await app.inject(`/v2/a/manifests/${tag}`)).statusCode, 200)
})

t.test('extensions are listed, and no repository can have the name of one (R-241, R-242)', async t => {
  const app = await build(t, { ...IN_MEMORY, prefix: '/p' })
  const names = async (url: string): Promise<string[]> => (await app.inject(url)).json<{ extensions: Array<{ name: string, url: string, endpoints: string[] }> }>().extensions.map(({ name }) => name)
  t.same(await names('/p/v2/_oci/ext/discover'), ['_oci', '_catalog'])
  t.same(await names('/p/v2/team/app/_oci/ext/discover'), ['_oci'])
  t.equal((await app.inject({ method: 'POST', url: '/p/v2/_oci/ext/discover' })).headers['allow'], 'GET, HEAD')
  for (const name of ['_oci', '_catalog', '_docker', 'a/_x']) {
    t.same(errorCodes(t, await app.inject(`/p/v2/${name}/tags/list`), 400), ['NAME_INVALID'])
  }
})

t.test('there is no smallest chunk: none is announced and one byte is a chunk (R-075, R-076, R-103)', async t => {
  const app = await build(t)
  let response = await app.inject({ method: 'POST', url: '/v2/a/blobs/uploads/' })
  t.equal(response.headers['oci-chunk-min-length'], undefined)
  for (const [i, byte] of [...'abc'].entries()) {
    response = await app.inject({ method: 'PATCH', url: String(response.headers['location']), headers: { 'content-range': `${i}-${i}` }, payload: byte })
    t.equal(response.statusCode, 202)
  }
  t.equal((await app.inject({ method: 'PUT', url: `${String(response.headers['location'])}?digest=${sha256('abc')}` })).statusCode, 201)
})

t.test('the upload endpoint without a session takes only POST (R-081)', async t => {
  const app = await build(t)
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const) {
    const response = await app.inject({ method, url: '/v2/a/blobs/uploads/' })
    t.equal(response.statusCode, 405)
    t.equal(response.headers['allow'], 'POST')
  }
})

t.test('a Location can be used at once: the blob is there, and the session path keeps its shape (R-112, R-119, R-246)', async t => {
  const app = await build(t)
  const content = blob('visible')
  const post = await app.inject({ method: 'POST', url: '/v2/team/app/blobs/uploads/' })
  t.match(post.headers['location'], /^\/v2\/team\/app\/blobs\/uploads\/[^/?]+$/)
  const put = await app.inject({ method: 'PUT', url: `${String(post.headers['location'])}?digest=${content.digest}`, payload: content.bytes })
  const [head, get] = await Promise.all([app.inject({ method: 'HEAD', url: String(put.headers['location']) }), app.inject(String(put.headers['location']))])
  t.equal(head.statusCode, 200)
  t.equal(get.body, 'visible')
})

t.test('what is not there cannot be deleted (R-138, R-194)', async t => {
  const app = await build(t)
  for (const [path, code] of [[`blobs/${sha256('x')}`, 'BLOB_UNKNOWN'], [`manifests/${sha256('x')}`, 'MANIFEST_UNKNOWN'], ['manifests/x', 'MANIFEST_UNKNOWN']] as const) {
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url: `/v2/a/${path}` }), 404), [code])
  }
})

t.test('HEAD of a manifest has its headers and no body; by digest it may be cached, by tag it is asked for again (R-146, R-150)', async t => {
  const app = await build(t)
  const manifest = image()
  await pushManifest(t, app, 'a', manifest, 'tag')
  for (const [reference, caching] of [[manifest.digest, 'max-age=31536000, immutable'], ['tag', 'no-cache']] as const) {
    const head = await app.inject({ method: 'HEAD', url: `/v2/a/manifests/${reference}` })
    const get = await app.inject(`/v2/a/manifests/${reference}`)
    t.equal(head.body, '')
    t.match(head.headers, { 'content-length': String(manifest.size), 'content-type': manifest.mediaType, 'cache-control': caching })
    t.equal(get.headers['cache-control'], caching)
  }
})

t.test('an index with platforms left out is accepted where the configuration says so (R-170)', async t => {
  const sparse = index([image('absent')])
  const [child] = (JSON.parse(sparse.bytes.toString()) as { manifests: object[] }).manifests
  const withPlatform = (architecture: string): string => JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...child, platform: { architecture, os: 'linux' } }] })
  const status = async (indexes: object, payload: string): Promise<number> => {
    const app = await build(t, { ...IN_MEMORY, validation: { manifests: { indexes } } })
    return (await app.inject({ method: 'PUT', url: '/v2/a/manifests/x', headers: { 'content-type': OCI_INDEX }, payload })).statusCode
  }
  t.equal(await status({}, withPlatform('amd64')), 400)
  t.equal(await status({ platforms: 'none' }, withPlatform('amd64')), 201)
  const list = { platforms: 'list', platformlist: [{ architecture: 'amd64', os: 'linux' }] }
  t.equal(await status(list, withPlatform('amd64')), 400)
  t.equal(await status(list, withPlatform('arm64')), 201)
  const app = await build(t, { ...IN_MEMORY, validation: { disabled: true } })
  t.equal((await app.inject({ method: 'PUT', url: '/v2/a/manifests/x', headers: { 'content-type': OCI_INDEX }, payload: sparse.bytes })).statusCode, 201)
})

t.test('nothing of what a client pushed is changed: data, digests, annotations, spaces (R-249, R-155)', async t => {
  const app = await build(t)
  const text = `{ "schemaVersion":2,\n\t"mediaType":"${OCI_INDEX}", "manifests" : [ ], "annotations":{"b":"\u00e9\\u0000","a":""}, "data":"aGk=", "x":1e2 }\n`
  const manifest = blob(text, OCI_INDEX)
  await pushManifest(t, app, 'a', { ...manifest, blobs: [] })
  t.ok((await app.inject(`/v2/a/manifests/${manifest.digest}?ns=docker.io`)).rawPayload.equals(manifest.bytes), 'with an ns query as well (R-251)')
})

t.test('an error is an envelope with a message for people (R-002)', async t => {
  const app = await build(t)
  for (const url of ['/v2/nothing', '/v2/A/tags/list', '/v2/a/tags/list?n=x', `/v2/a/blobs/${sha256('x')}`, '/v2/a/blobs/bad']) {
    for (const { code, message } of (await app.inject(url)).json<ErrorBody>().errors) {
      t.match(code, /^[A-Z_]+$/)
      t.ok(message.length > 5)
    }
  }
})
