import t from 'tap'
import { OciError, OciErrors } from '../../../services/errors/oci-error.js'
import { errorText } from '../../../services/log/error-text.js'
import { errorFields, goDuration, requestFields, servedFields } from '../../../services/log/request-fields.js'
import type { RequestFacts } from '../../../services/log/request-fields.js'
import { shownUrl } from '../../../services/log/shown-url.js'

const FACTS: RequestFacts = { id: '1', method: 'GET', host: 'r.example:5000', url: '/v2/', proto: 'HTTP/1.1', headers: {}, remote: '10.0.0.1:4711', resource: undefined, name: undefined, reference: undefined, trace: undefined }

t.test('fields have the names of docker\'s registry, and what is empty is left out', async t => {
  t.same(requestFields({ ...FACTS, host: '', headers: { referer: '', 'user-agent': '' }, remote: undefined }), { 'http.request.id': '1', 'http.request.method': 'GET', 'http.request.proto': 'HTTP/1.1', 'http.request.uri': '/v2/' })
  t.same(requestFields({ ...FACTS, headers: { referer: 'http://x/', 'user-agent': 'curl', 'content-type': 'text/plain' } }), {
    'http.request.contenttype': 'text/plain',
    'http.request.host': 'r.example:5000',
    'http.request.id': '1',
    'http.request.method': 'GET',
    'http.request.proto': 'HTTP/1.1',
    'http.request.referer': 'http://x/',
    'http.request.remoteaddr': '10.0.0.1:4711',
    'http.request.uri': '/v2/',
    'http.request.useragent': 'curl'
  })
})

for (const [resource, reference, field, value] of [
  ['manifest', '1.0', 'vars.reference', '1.0'],
  ['manifest', 'sha256:ab', 'vars.reference', 'sha256:ab'],
  ['blob', 'sha256:ab', 'vars.digest', 'sha256:ab'],
  ['referrers', 'sha256:ab', 'vars.digest', 'sha256:ab'],
  ['upload-session', 'e37ce0d2-5f51-47a2-a715-7edd1220f13e.400', 'vars.uuid', 'e37ce0d2-5f51-47a2-a715-7edd1220f13e']
] as const) {
  t.test(`the ${resource} ${reference} is in ${field}`, async t => {
    const fields = requestFields({ ...FACTS, resource, name: 'a/b', reference })
    t.same(Object.keys(fields).filter(key => key.startsWith('vars.')), ['vars.name', field])
    t.match(fields, { 'vars.name': 'a/b', [field]: value })
  })
}

t.test('an outcome says who, how much, how long, and whether the client was gone', async t => {
  const fields = servedFields({ ...FACTS, status: 200, contentType: 'application/json', written: 2, ms: 1.234, isAborted: true, user: 'ann' })
  t.match(fields, { 'auth.user.name': 'ann', 'http.response.aborted': true, 'http.response.contenttype': 'application/json', 'http.response.duration': '1.234ms', 'http.response.status': 200, 'http.response.written': 2 })
  t.notOk('http.response.aborted' in servedFields({ ...FACTS, status: 200, contentType: undefined, written: 2, ms: 1, isAborted: false, user: undefined }))
})

t.test('durations are those of Go', async t => {
  t.same([0, 0.0005, 0.034291, 1.234, 999.999999, 1000, 61_500, 3_723_004].map(goDuration), ['0ns', '500ns', '34.291µs', '1.234ms', '999.999999ms', '1s', '1m1.5s', '1h2m3.004s'])
})

t.test('an error is its code in the words of docker\'s registry, its message and its detail', async t => {
  t.same(errorFields(new OciError('MANIFEST_UNKNOWN', { detail: 'unknown tag=1' }), null), { 'err.code': 'manifest unknown', 'err.message': 'manifest unknown', 'err.detail': 'unknown tag=1', 'err.cause': undefined })
  const missing = ['a', 'b'].map(digest => new OciError('MANIFEST_BLOB_UNKNOWN', { detail: { digest } })) as [OciError, OciError]
  t.match(errorFields(new OciErrors(missing), null), { 'err.code': 'manifest blob unknown', 'err.detail': '[{"digest":"a"},{"digest":"b"}]' })
  t.match(errorFields(new OciError('UNKNOWN'), new Error('a bug')), { 'err.code': 'unknown', 'err.cause': /Error: a bug\n {4}at / })
  t.equal(String(errorFields(new OciError('DENIED', { detail: 'x'.repeat(5000) }), null)['err.detail']).length, 1025)
})

t.test('causes that go round come to an end, and what is thrown may be anything', async t => {
  const round = new Error('round')
  round.cause = round
  t.equal(errorText(round).match(/Error: round/g)?.length, 5)
  t.equal(errorText('just text'), 'just text')
  t.equal(errorText(new Error('x'.repeat(100_000))).length, 8192)
  t.notMatch(errorText(new Error('GET https://u:hunter2@s3.example/b?X-Amz-Signature=abc123&x=1 failed')), /hunter2|abc123/)
})

for (const [url, shown] of [
  ['/v2/', '/v2/'],
  ['/v2/a/blobs/uploads/?mount=sha256:ab&from=c/d', '/v2/a/blobs/uploads/?mount=sha256:ab&from=c/d'],
  ['/v2/_catalog?n=5&last=a%2Fb', '/v2/_catalog?n=5&last=a%2Fb'],
  ['/v2/a?X-Amz-Signature=abc&n=1', '/v2/a?X-Amz-Signature=***&n=1'],
  ['/v2/a?access_token=abc', '/v2/a?access_token=***'],
  ['/v2/a?_state=abc%3D', '/v2/a?_state=***'],
  ['/v2/a?%74oken=abc', '/v2/a?***=***'],
  ['/v2/a?DIGEST=abc', '/v2/a?DIGEST=***'],
  ['/v2/a?abc', '/v2/a?***'],
  ['/v2/a?', '/v2/a?'],
  ['/v2/a?n=1&&last', '/v2/a?n=1&&last'],
  ['/v2/a?a=b?digest=c', '/v2/a?a=***'],
  ['http://ann:secret@r.example/v2/', 'http://***@r.example/v2/'],
  ['ann:secret@r.example:443', '***@r.example:443'],
  ['*', '*']
] as const) {
  t.test(`${url} is shown as ${shown}`, async t => { t.equal(shownUrl(url), shown) })
}

t.test('a URL without an end is cut', async t => {
  t.equal(shownUrl(`/v2/${'a'.repeat(60_000)}`).length, 2049)
  t.equal(shownUrl(`/v2/?${'n=1&'.repeat(20_000)}`).length, 2049)
})
