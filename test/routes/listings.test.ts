import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import type { ErrorBody } from '../helpers/build.js'
import { blob, image, index, pushBlob, pushManifest, sha256, sha512 } from '../helpers/images.js'
import type { Manifest } from '../helpers/images.js'
import { ownHeaders } from '../suites/registry-behaviour.js'

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const BAD_NUMBERS = ['-1', 'abc', '1.5', '+2', '%2B2', '0x2', '1e3', ' 5', '5%00', '9'.repeat(30)]
const TAGS = ['1.0', '10', 'A', 'Z', '_x', 'a', 'b', 'sha256-aa.sig']

async function withTags (t: Test, options = IN_MEMORY): Promise<FastifyInstance> {
  const app = await build(t, options)
  for (const tag of TAGS.toReversed()) await pushManifest(t, app, 'team/app', image(), tag)
  return app
}

async function tagsOf (app: FastifyInstance, query = ''): Promise<{ tags: string[], link: unknown }> {
  const response = await app.inject(`/v2/team/app/tags/list${query}`)
  return { tags: response.json<{ tags: string[] }>().tags, link: response.headers['link'] }
}

t.test('tags come whole and in byte order when no page is asked for (R-012, R-201, R-202, R-209)', async t => {
  const app = await withTags(t, { ...IN_MEMORY, tags: { maxtags: 2 } })
  const response = await app.inject('/v2/team/app/tags/list')
  t.equal(response.statusCode, 200)
  t.same(response.json(), { name: 'team/app', tags: TAGS })
  const headers = { 'content-type': 'application/json', 'content-length': String(response.rawPayload.length), 'docker-distribution-api-version': 'registry/2.0' }
  t.same(ownHeaders(response), headers)
  const head = await app.inject({ method: 'HEAD', url: '/v2/team/app/tags/list' })
  t.equal(head.statusCode, 200)
  t.equal(head.body, '')
  t.same(ownHeaders(head), headers)
})

t.test('a page of tags leads on by a relative Link, until the last (R-205, R-206, R-210, R-214)', async t => {
  const app = await withTags(t)
  t.same(await tagsOf(app, '?n=3'), { tags: ['1.0', '10', 'A'], link: '</v2/team/app/tags/list?last=A&n=3>; rel="next"' })
  t.same(await tagsOf(app, '?n=3&last=A'), { tags: ['Z', '_x', 'a'], link: '</v2/team/app/tags/list?last=a&n=3>; rel="next"' })
  t.same(await tagsOf(app, '?last=a&n=3'), { tags: ['b', 'sha256-aa.sig'], link: undefined })
  t.same(await tagsOf(app, `?n=${TAGS.length}`), { tags: TAGS, link: undefined })
  t.same(await tagsOf(app, '?n=100000000000000'), { tags: TAGS.slice(0, 1000), link: undefined })
})

t.test('n=0 is an empty list without a Link (R-207)', async t => {
  const app = await withTags(t)
  t.same(await tagsOf(app, '?n=0'), { tags: [], link: undefined })
  t.same(await tagsOf(app, '?n=0&last=A'), { tags: [], link: undefined })
})

t.test('last need not exist, and without n everything after it comes (R-208, R-213)', async t => {
  const app = await withTags(t)
  t.same(await tagsOf(app, '?last=A'), { tags: ['Z', '_x', 'a', 'b', 'sha256-aa.sig'], link: undefined })
  t.same(await tagsOf(app, '?last=AA'), { tags: ['Z', '_x', 'a', 'b', 'sha256-aa.sig'], link: undefined })
  t.same(await tagsOf(app, '?last=zzz'), { tags: [], link: undefined })
  t.same(await tagsOf(app, '?last=../../etc'), { tags: TAGS, link: undefined })
  t.same(await tagsOf(app, '?last=&n='), { tags: TAGS, link: undefined })
  t.same(await tagsOf(app, '?n=2&n=5&last=Z&last=A'), { tags: ['_x', 'a'], link: '</v2/team/app/tags/list?last=a&n=2>; rel="next"' })
})

t.test('a page of tags is never larger than configured (R-211)', async t => {
  const app = await withTags(t, { ...IN_MEMORY, tags: { maxtags: 2 } })
  t.same(await tagsOf(app, '?n=5'), { tags: ['1.0', '10'], link: '</v2/team/app/tags/list?last=10&n=2>; rel="next"' })
})

t.test('a page size that is no number is refused, for tags and for the catalog (R-212, R-238)', async t => {
  const app = await withTags(t)
  for (const n of BAD_NUMBERS) {
    for (const url of ['/v2/team/app/tags/list', '/v2/_catalog']) {
      t.same(errorCodes(t, await app.inject({ url: `${url}?n=${n}` }), 400), ['PAGINATION_NUMBER_INVALID'], `${url} ${n}`)
    }
  }
})

t.test('a repository without manifests is unknown to the tag list, with or without blobs and uploads (R-204)', async t => {
  const app = await build(t)
  await pushBlob(t, app, 'only/blobs', blob('x'))
  await app.inject({ method: 'POST', url: '/v2/only/uploads/blobs/uploads/' })
  for (const name of ['only/blobs', 'only/uploads', 'never', 'only']) {
    const response = await app.inject(`/v2/${name}/tags/list`)
    t.same(errorCodes(t, response, 404), ['NAME_UNKNOWN'], name)
    t.same(response.json<ErrorBody>().errors[0]?.detail, { name })
  }
})

t.test('a repository whose last tag is gone, or that never had one, has an empty list (R-203)', async t => {
  const app = await build(t)
  await pushManifest(t, app, 'team/app', image())
  t.same(await tagsOf(app), { tags: [], link: undefined })
  await pushManifest(t, app, 'team/app', image(), '1.0')
  t.same(await tagsOf(app), { tags: ['1.0'], link: undefined })
  await app.inject({ method: 'DELETE', url: '/v2/team/app/manifests/1.0' })
  t.same(await tagsOf(app), { tags: [], link: undefined })
})

async function catalogOf (t: Test, app: FastifyInstance, query = ''): Promise<{ repositories: string[], link: unknown }> {
  const response = await app.inject(`/v2/_catalog${query}`)
  t.equal(response.statusCode, 200, response.body)
  return { repositories: response.json<{ repositories: string[] }>().repositories, link: response.headers['link'] }
}

async function withRepositories (t: Test, names: readonly string[], options = IN_MEMORY): Promise<FastifyInstance> {
  const app = await build(t, options)
  for (const name of names) await pushManifest(t, app, name, index([]), '1.0')
  return app
}

t.test('the catalog lists repositories by path component, only those with manifests (R-012, R-237)', async t => {
  const app = await withRepositories(t, ['b', 'a-b', 'a/b', 'a', 'a/b/c'])
  await pushBlob(t, app, 'only/blobs', blob('x'))
  const response = await app.inject('/v2/_catalog')
  t.same(response.json(), { repositories: ['a', 'a/b', 'a/b/c', 'a-b', 'b'] })
  const headers = { 'content-type': 'application/json', 'content-length': String(response.rawPayload.length), 'docker-distribution-api-version': 'registry/2.0' }
  t.same(ownHeaders(response), headers)
  const head = await app.inject({ method: 'HEAD', url: '/v2/_catalog' })
  t.equal(head.body, '')
  t.same(ownHeaders(head), headers)
})

t.test('the catalog of an empty registry is an empty list', async t => {
  t.same(await catalogOf(t, await build(t)), { repositories: [], link: undefined })
})

t.test('the catalog is paged by n and last (R-238)', async t => {
  const app = await withRepositories(t, ['a', 'a/b', 'c', 'd'])
  t.same(await catalogOf(t, app, '?n=2'), { repositories: ['a', 'a/b'], link: '</v2/_catalog?last=a%2Fb&n=2>; rel="next"' })
  t.same(await catalogOf(t, app, '?last=a%2Fb&n=2'), { repositories: ['c', 'd'], link: undefined })
  t.same(await catalogOf(t, app, '?last=bb'), { repositories: ['c', 'd'], link: undefined })
  t.same(await catalogOf(t, app, '?last=zzz'), { repositories: [], link: undefined })
  t.same(await catalogOf(t, app, '?n=0'), { repositories: [], link: undefined })
  t.same(await catalogOf(t, app, '?n=&last='), { repositories: ['a', 'a/b', 'c', 'd'], link: undefined })
  t.same(await catalogOf(t, app, '?n=1000'), { repositories: ['a', 'a/b', 'c', 'd'], link: undefined })
  const tooMany = await app.inject('/v2/_catalog?n=1001')
  t.same(errorCodes(t, tooMany, 400), ['PAGINATION_NUMBER_INVALID'])
  t.same(tooMany.json<ErrorBody>().errors[0]?.detail, { n: 1001 })
})

t.test('the catalog has pages of 100 unless asked otherwise, and never more than configured (R-237, R-238)', async t => {
  const names = Array.from({ length: 101 }, (_, i) => `r${String(i).padStart(3, '0')}`)
  const app = await withRepositories(t, names)
  t.same(await catalogOf(t, app), { repositories: names.slice(0, 100), link: '</v2/_catalog?last=r099&n=100>; rel="next"' })
  const small = await withRepositories(t, ['a', 'b', 'c'], { ...IN_MEMORY, catalog: { maxentries: 2 } })
  t.same(await catalogOf(t, small), { repositories: ['a', 'b'], link: '</v2/_catalog?last=b&n=2>; rel="next"' })
  t.same(errorCodes(t, await small.inject('/v2/_catalog?n=3'), 400), ['PAGINATION_NUMBER_INVALID'])
})

interface Index { manifests: Array<Record<string, unknown>> }

/** `seed` makes it another manifest; `extra` fields go into it. */
function referrerOf ({ mediaType, digest, size }: Manifest, seed: string, extra: object = {}): Manifest {
  return image(seed, { subject: { mediaType, digest, size }, ...extra })
}

async function digestsOf (app: FastifyInstance, url: string): Promise<unknown[]> {
  return (await app.inject(url)).json<Index>().manifests.map(({ digest }) => digest)
}

t.test('any well-formed digest has an empty index of referrers, also in a repository never heard of (R-216, R-218, R-219)', async t => {
  const app = await build(t)
  for (const digest of [sha256('x'), sha512('x')]) {
    const url = `/v2/never/pushed/referrers/${digest}`
    const response = await app.inject(url)
    t.equal(response.statusCode, 200)
    t.same(response.json(), { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })
    const headers = { 'content-type': OCI_INDEX, 'content-length': String(response.rawPayload.length), 'docker-distribution-api-version': 'registry/2.0' }
    t.same(ownHeaders(response), headers)
    const head = await app.inject({ method: 'HEAD', url })
    t.equal(head.statusCode, 200)
    t.equal(head.body, '')
    t.same(ownHeaders(head), headers)
  }
})

t.test('referrers of a tag or a malformed digest are refused (R-217)', async t => {
  const app = await build(t)
  for (const bad of ['latest', 'sha256:x', `sha256:${'A'.repeat(64)}`, `${sha256('x')}0`, 'md5:d41d8cd98f00b204e9800998ecf8427e']) {
    t.same(errorCodes(t, await app.inject(`/v2/team/app/referrers/${bad}`), 400), ['DIGEST_INVALID'], bad)
  }
})

t.test('a referrer is described with its type, size and annotations (R-220, R-221, R-222)', async t => {
  const app = await build(t)
  const subject = image()
  const { mediaType, digest, size } = subject
  const annotations = { 'org.example.one': '1', two: 'zwei' }
  const typed = referrerOf(subject, 'typed', { artifactType: 'application/x.sbom', annotations })
  const untyped = referrerOf(subject, 'untyped')
  const list = index([], { subject: { mediaType, digest, size }, annotations })
  for (const manifest of [typed, untyped, list]) await pushManifest(t, app, 'team/app', manifest)
  const { manifests } = (await app.inject(`/v2/team/app/referrers/${digest}`)).json<Index>()
  const expected = [
    { mediaType, digest: typed.digest, size: typed.size, artifactType: 'application/x.sbom', annotations },
    { mediaType, digest: untyped.digest, size: untyped.size, artifactType: 'application/vnd.oci.image.config.v1+json' },
    { mediaType: OCI_INDEX, digest: list.digest, size: list.size, annotations }
  ].sort((a, b) => a.digest < b.digest ? -1 : 1)
  t.same(manifests, expected)
})

t.test('referrers are those of the repository, whether the subject is there or not (R-223, R-230, R-231, R-232)', async t => {
  const app = await build(t)
  const subject = image()
  const referrer = referrerOf(subject, 'signature')
  const url = `/v2/team/app/referrers/${subject.digest}`
  await pushManifest(t, app, 'team/app', referrer)
  await pushManifest(t, app, 'team/app', referrer, 'also-tagged')
  t.same(await digestsOf(app, url), [referrer.digest])
  await pushManifest(t, app, 'team/app', subject)
  t.same(await digestsOf(app, url), [referrer.digest])
  await app.inject({ method: 'DELETE', url: `/v2/team/app/manifests/${subject.digest}` })
  t.same(await digestsOf(app, url), [referrer.digest])
  t.same(await digestsOf(app, `/v2/team/other/referrers/${subject.digest}`), [])
})

t.test('a filter by artifactType says that it was applied (R-224, R-225, R-226, R-227, R-228)', async t => {
  const app = await build(t)
  const subject = image()
  const sbom = referrerOf(subject, 'sbom', { artifactType: 'application/vnd.sbom+json' })
  const signature = referrerOf(subject, 'signature', { artifactType: 'application/vnd.signature' })
  for (const manifest of [sbom, signature]) await pushManifest(t, app, 'team/app', manifest)
  const both = [sbom.digest, signature.digest].sort()
  const cases: Array<[string, string[], boolean]> = [
    ['?artifactType=application/vnd.signature', [signature.digest], true],
    ['?artifactType=application%2Fvnd.sbom%2Bjson', [sbom.digest], true],
    ['?artifactType=application/vnd.sbom+json', [sbom.digest], true],
    ['?artifactType=application/vnd.signature&artifactType=application/vnd.sbom%2Bjson', both, true],
    ['?artifactType=application/none', [], true],
    ['?artifactType=', both, false],
    ['?artifacttype=application/none', both, false]
  ]
  for (const [query, digests, isFiltered] of cases) {
    const response = await app.inject(`/v2/team/app/referrers/${subject.digest}${query}`)
    t.equal(response.statusCode, 200)
    t.same(response.json<Index>().manifests.map(({ digest }) => digest), digests, query)
    t.equal(response.headers['oci-filters-applied'], isFiltered ? 'artifactType' : undefined, query)
  }
})
