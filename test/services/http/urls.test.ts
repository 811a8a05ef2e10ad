import t from 'tap'
import { OciError } from '../../../services/errors/oci-error.js'
import { Locations } from '../../../services/http/locations.js'
import type { LocationOptions, RequestOrigin } from '../../../services/http/locations.js'
import { parseMount } from '../../../services/http/mount.js'
import { nextLink, parsePagination } from '../../../services/http/pagination.js'
import { parseDigest, parseRepositoryName } from '../../../services/reference/reference.js'

const NAME = parseRepositoryName('team/app')
const DIGEST = parseDigest(`sha256:${'ab'.repeat(32)}`)
const ID = '0b7a0f3e-1111-4222-8333-444455556666'
const BLOB = `/v2/team/app/blobs/${DIGEST}`

function at (options: Partial<LocationOptions>, headers: RequestOrigin['headers'] = { host: 'direct:5000' }, protocol = 'http'): string {
  return new Locations({ prefix: '', relativeurls: false, ...options }).blob({ protocol, headers }, NAME, DIGEST)
}

t.test('each Location is where its resource is', async t => {
  const locations = new Locations({ prefix: '/reg', relativeurls: false })
  const origin = { protocol: 'https', headers: { host: 'example.com' } }
  t.equal(locations.manifest(origin, NAME, DIGEST), `https://example.com/reg/v2/team/app/manifests/${DIGEST}`)
  t.equal(locations.blob(origin, NAME, DIGEST), `https://example.com/reg/v2/team/app/blobs/${DIGEST}`)
  t.equal(locations.upload(origin, NAME, ID, 0), `https://example.com/reg/v2/team/app/blobs/uploads/${ID}.0`)
  t.equal(locations.upload(origin, NAME, ID, 1234), `https://example.com/reg/v2/team/app/blobs/uploads/${ID}.1234`)
})

t.test('a path for Link has the prefix and never a host, whatever is configured (R-206)', async t => {
  t.equal(new Locations({ prefix: '', relativeurls: false, host: 'https://example.com' }).path('_catalog'), '/v2/_catalog')
  t.equal(new Locations({ prefix: '/reg', relativeurls: false }).path('a/tags/list'), '/reg/v2/a/tags/list')
})

t.test('without configuration the base is what the request was sent to (R-014)', async t => {
  t.equal(at({}), `http://direct:5000${BLOB}`)
  t.equal(at({}, { host: 'direct' }, 'https'), `https://direct${BLOB}`)
  t.equal(at({}, { host: '[::1]:5000' }), `http://[::1]:5000${BLOB}`)
  t.equal(at({ prefix: '/reg' }), `http://direct:5000/reg${BLOB}`)
})

t.test('relativeurls makes paths, whatever a proxy says (R-014)', async t => {
  t.equal(at({ relativeurls: true }), BLOB)
  t.equal(at({ relativeurls: true, prefix: '/reg' }, { host: 'direct', 'x-forwarded-host': 'public' }), `/reg${BLOB}`)
})

t.test('http.host is the base of all URLs, whatever the request or relativeurls say (R-014)', async t => {
  const headers = { host: 'direct:5000', forwarded: 'host=evil;proto=http', 'x-forwarded-host': 'evil', 'x-forwarded-proto': 'http' }
  t.equal(at({ host: 'https://public.example' }, headers), `https://public.example${BLOB}`)
  t.equal(at({ host: 'https://public.example:8443/' }, headers), `https://public.example:8443${BLOB}`)
  t.equal(at({ host: 'http://public.example', relativeurls: true }, headers), `http://public.example${BLOB}`)
  t.equal(at({ host: 'https://public.example' }, {}), `https://public.example${BLOB}`)
  t.equal(at({ host: 'https://[2001:db8::1]:8443' }, {}), `https://[2001:db8::1]:8443${BLOB}`)
})

t.test('http.host without a path gets the prefix, one with a path is taken at its word', async t => {
  t.equal(at({ host: 'https://public.example', prefix: '/reg' }), `https://public.example/reg${BLOB}`)
  t.equal(at({ host: 'https://public.example/', prefix: '/reg' }), `https://public.example/reg${BLOB}`)
  t.equal(at({ host: 'https://public.example/images', prefix: '/reg' }), `https://public.example/images${BLOB}`)
  t.equal(at({ host: 'https://public.example/images//', prefix: '' }), `https://public.example/images${BLOB}`)
  t.equal(at({ host: 'https://public.example/a/b/?x=1#y', prefix: '' }), `https://public.example/a/b${BLOB}`)
})

t.test('what a proxy says goes before the request: Forwarded, then X-Forwarded-Proto and -Host (R-014)', async t => {
  const table: Array<[Record<string, string | string[]>, string]> = [
    [{ 'x-forwarded-proto': 'https' }, 'https://direct:5000'],
    [{ 'x-forwarded-host': 'public.example' }, 'http://public.example'],
    [{ 'x-forwarded-host': 'public.example:8443', 'x-forwarded-proto': 'https' }, 'https://public.example:8443'],
    [{ 'x-forwarded-proto': 'HTTPS' }, 'https://direct:5000'],
    [{ forwarded: 'proto=https;host=public.example' }, 'https://public.example'],
    [{ forwarded: 'host=public.example' }, 'http://public.example'],
    [{ forwarded: 'for=192.0.2.1;proto=https;by=203.0.113.43' }, 'https://direct:5000'],
    [{ forwarded: 'Proto=HTTPS; Host="public.example:8443"' }, 'https://public.example:8443'],
    [{ forwarded: 'for="[2001:db8::1]:4711" ; host="[2001:db8::2]:5000" ; proto=https' }, 'https://[2001:db8::2]:5000'],
    [{ forwarded: 'host=one.example', 'x-forwarded-host': 'two.example', 'x-forwarded-proto': 'https' }, 'https://one.example'],
    [{ forwarded: 'proto=http', 'x-forwarded-host': 'two.example', 'x-forwarded-proto': 'https' }, 'http://two.example'],
    [{ forwarded: 'for=192.0.2.1', 'x-forwarded-host': 'two.example', 'x-forwarded-proto': 'https' }, 'https://two.example']
  ]
  for (const [headers, base] of table) t.equal(at({}, { host: 'direct:5000', ...headers }), `${base}${BLOB}`, JSON.stringify(headers))
  t.equal(at({ prefix: '/reg' }, { host: 'direct', 'x-forwarded-host': 'public' }), `http://public/reg${BLOB}`, 'the prefix stays')
})

t.test('of a list the first element counts: the proxy that is next to the client (R-014)', async t => {
  const table: Array<[Record<string, string | string[]>, string]> = [
    [{ 'x-forwarded-proto': 'https, http' }, 'https://direct:5000'],
    [{ 'x-forwarded-proto': 'https,http', 'x-forwarded-host': 'first.example , second.example' }, 'https://first.example'],
    [{ 'x-forwarded-host': ['first.example, x', 'second.example'] }, 'http://first.example'],
    [{ forwarded: 'host=first.example;proto=https, host=second.example;proto=http' }, 'https://first.example'],
    [{ forwarded: ['proto=https', 'proto=http'] }, 'https://direct:5000']
  ]
  for (const [headers, base] of table) t.equal(at({}, { host: 'direct:5000', ...headers }), `${base}${BLOB}`, JSON.stringify(headers))
})

t.test('empty proxy headers say nothing', async t => {
  for (const headers of [{ forwarded: '' }, { forwarded: ';;' }, { forwarded: 'host=;proto=' }, { forwarded: 'host=""' }, { 'x-forwarded-host': '', 'x-forwarded-proto': ' ' }, { 'x-forwarded-host': [] }]) {
    t.equal(at({}, { host: 'direct:5000', ...headers }), `http://direct:5000${BLOB}`, JSON.stringify(headers))
  }
})

const HOSTILE = [
  'evil.example/x', 'a b', 'user@evil.example', 'evil.example\r\nset-cookie: x', 'evil.example\nx', 'a"b', "a'b", 'a<b>', 'a\\b', 'a?b', 'a#b', 'é.example', 'a\0b', '/', '//evil', 'a;b', '{a}', '$a'
]

t.test('a host that cannot be one makes a path instead of a URL', async t => {
  for (const host of HOSTILE) {
    t.equal(at({}, { host }), BLOB, `Host: ${JSON.stringify(host)}`)
    t.equal(at({ prefix: '/reg' }, { host: 'direct', 'x-forwarded-host': host }), `/reg${BLOB}`, `X-Forwarded-Host: ${JSON.stringify(host)}`)
  }
  t.equal(at({}, {}), BLOB, 'no Host at all, as in HTTP/1.0')
  t.equal(at({}, { host: undefined }), BLOB)
})

t.test('a scheme other than http and https makes a path instead of a URL', async t => {
  for (const scheme of ['javascript', 'ftp', 'wss', 'https:', 'http://evil', 'https\r\nx: y', 'file']) {
    t.equal(at({}, { host: 'direct', 'x-forwarded-proto': scheme }), BLOB, JSON.stringify(scheme))
    t.equal(at({}, { host: 'direct', forwarded: `proto=${scheme}` }), BLOB, JSON.stringify(scheme))
  }
})

t.test('a page is asked for with n and last, both absent when empty (R-208, R-213)', async t => {
  t.same(parsePagination({}), {})
  t.same(parsePagination({ n: undefined, last: undefined }), {})
  t.same(parsePagination({ n: '', last: '' }), {})
  t.same(parsePagination({ n: '5' }), { limit: 5 })
  t.same(parsePagination({ last: 'v1.0' }), { last: 'v1.0' })
  t.same(parsePagination({ n: '007', last: 'a/b' }), { limit: 7, last: 'a/b' })
  t.same(parsePagination({ n: '999999999999999' }), { limit: 999_999_999_999_999 })
  t.notOk('limit' in parsePagination({ last: 'x' }), 'the limit is left out rather than undefined')
})

t.test('n=0 asks for nothing, which is not the same as not asking (R-207)', async t => {
  t.same(parsePagination({ n: '0' }), { limit: 0 })
})

t.test('an n that is no plain number is PAGINATION_NUMBER_INVALID (R-212)', async t => {
  const table: Array<[string, number | string]> = [
    ['-1', -1], ['-0', -0], ['abc', 'abc'], ['1.5', '1.5'], ['+2', '+2'], ['0x2', '0x2'], ['1e3', '1e3'], [' 5', ' 5'], ['5 ', '5 '], ['5,6', '5,6'], ['٥', '٥'], ['NaN', 'NaN'],
    ['Infinity', 'Infinity'], ['--1', '--1'], ['1'.repeat(30), '1'.repeat(30)], ['9'.repeat(5000), '9'.repeat(64)]
  ]
  for (const [n, shown] of table) {
    let thrown: unknown
    try {
      parsePagination({ n })
    } catch (error) {
      thrown = error
    }
    t.ok(OciError.is(thrown), n.slice(0, 40))
    t.match(thrown, { code: 'PAGINATION_NUMBER_INVALID', status: 400, detail: { n: shown } })
  }
})

t.test('the link to the next page is a path with last and n, escaped (R-206)', async t => {
  t.equal(nextLink('/v2/a/tags/list', { last: 'v1.0', limit: 5 }), '</v2/a/tags/list?last=v1.0&n=5>; rel="next"')
  t.equal(nextLink('/v2/_catalog', { last: 'team/app', limit: 1000 }), '</v2/_catalog?last=team%2Fapp&n=1000>; rel="next"')
  const link = nextLink('/v2/_catalog', { last: 'a&b>"+ é\r\n', limit: 1 })
  t.equal(link, '</v2/_catalog?last=a%26b%3E%22%2B%20%C3%A9%0D%0A&n=1>; rel="next"')
  const { searchParams } = new URL(/^<(.*)>/.exec(link)?.[1] ?? '', 'http://x')
  t.equal(searchParams.get('last'), 'a&b>"+ é\r\n', 'a client reads it back')
})

t.test('a mount is asked for with a digest and another repository', async t => {
  const sha512 = parseDigest(`sha512:${'ab'.repeat(64)}`)
  t.same(parseMount({ mount: [DIGEST], from: ['other/app'] }, NAME), { digest: DIGEST, from: 'other/app' })
  t.same(parseMount({ mount: [sha512], from: ['a'] }, NAME), { digest: sha512, from: 'a' })
  t.same(parseMount({ mount: [DIGEST, 'x'], from: ['a', 'b'] }, NAME), { digest: DIGEST, from: 'a' }, 'of several the first counts')
})

t.test('a mount without from is asked of wherever the blob is (R-129)', async t => {
  t.same(parseMount({ mount: [DIGEST] }, NAME), { digest: DIGEST, from: undefined })
  t.same(parseMount({ mount: [DIGEST], from: [] }, NAME), { digest: DIGEST, from: undefined })
})

t.test('a mount that cannot be is a plain start of an upload (R-132)', async t => {
  const table = [
    {}, { mount: [] }, { from: [] }, { mount: [], from: [] }, { from: ['a'] }, { mount: [], from: ['a'] },
    { mount: [''] }, { mount: ['sha256:bad'] }, { mount: [''], from: ['a'] }, { mount: ['sha256:bad'], from: ['a'] }, { mount: [`md5:${'a'.repeat(32)}`], from: ['a'] }, { mount: ['bad', DIGEST], from: ['a'] },
    { mount: [DIGEST], from: [''] }, { mount: [DIGEST], from: ['UPPER'] }, { mount: [DIGEST], from: ['../x'] }, { mount: [DIGEST], from: ['a'.repeat(256)] },
    { mount: [DIGEST], from: ['team/app'] }
  ]
  for (const query of table) t.equal(parseMount(query, NAME), undefined, JSON.stringify(query))
})
