import { Readable } from 'node:stream'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { IN_MEMORY, build, errorCodes } from '../helpers/build.js'
import { blob, pushBlob, sha256, sha512 } from '../helpers/images.js'
import { ownHeaders } from '../suites/registry-behaviour.js'

const VERSION = { 'docker-distribution-api-version': 'registry/2.0' }
const LOCATION = /^\/v2\/team\/app\/blobs\/uploads\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(\d+)$/
const UUID = '00000000-0000-4000-8000-000000000000'
const content = blob('0123456789')

async function start (app: FastifyInstance, query = '', name = 'team/app'): Promise<string> {
  const response = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/${query}` })
  return String(response.headers['location'])
}

async function patch (app: FastifyInstance, url: string, payload: InjectOptions['payload'] = '', range?: string): Promise<LightMyRequestResponse> {
  const headers = range === undefined ? {} : { 'content-range': range }
  return await app.inject({ method: 'PATCH', url, headers, ...(payload === '' ? {} : { payload }) })
}

async function finish (app: FastifyInstance, url: string, payload: InjectOptions['payload'] = '', headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'PUT', url, headers, ...(payload === '' ? {} : { payload }) })
}

/** Checks an answer that tells how far a session is, and returns the Location to go on with. */
function progress (t: Test, response: LightMyRequestResponse, status: number, bytes: number): string {
  t.equal(response.statusCode, status, response.body)
  const location = String(response.headers['location'])
  const [, id, offset] = LOCATION.exec(location) ?? []
  const length = status === 204 ? {} : { 'content-length': '0' }
  t.same(ownHeaders(response), { ...VERSION, ...length, location, range: `0-${Math.max(0, bytes - 1)}`, 'docker-upload-uuid': id })
  t.equal(offset, String(bytes))
  t.equal(response.body, '')
  return location
}

function created (t: Test, response: LightMyRequestResponse, digest: string): void {
  t.equal(response.statusCode, 201, response.body)
  t.same(ownHeaders(response), { ...VERSION, location: `/v2/team/app/blobs/${digest}`, 'docker-content-digest': digest, 'content-length': '0' })
}

async function isHere (app: FastifyInstance, digest: string): Promise<boolean> {
  return (await app.inject({ method: 'HEAD', url: `/v2/team/app/blobs/${digest}` })).statusCode === 200
}

t.test('a session is opened with and without a body, a type, a final slash (R-024, R-073, R-074, R-080)', async t => {
  const app = await build(t)
  const seen = new Set<string>()
  for (const url of ['/v2/team/app/blobs/uploads/', '/v2/team/app/blobs/uploads']) {
    for (const headers of [{}, { 'content-length': '0' }, { 'content-type': 'application/json' }, { 'content-type': 'application/json', 'content-length': '0' }, { 'content-type': 'application/x-www-form-urlencoded' }]) {
      seen.add(progress(t, await app.inject({ method: 'POST', url, headers }), 202, 0))
    }
  }
  t.equal(seen.size, 10, 'each session has a name of its own')
})

async function takesRaw (t: Test, types: readonly string[]): Promise<void> {
  const app = await build(t)
  for (const type of types) {
    const headers = { 'content-type': type }
    const bytes = blob(Buffer.from([0xff, 0, 0x7b, ...Buffer.from(type)]))
    const patched = await app.inject({ method: 'PATCH', url: await start(app), headers, payload: bytes.bytes })
    const location = progress(t, patched, 202, bytes.size)
    created(t, await finish(app, `${location}?digest=${bytes.digest}`, '', headers), bytes.digest)
    const whole = await app.inject({ method: 'POST', url: `/v2/team/other/blobs/uploads/?digest=${bytes.digest}`, headers, payload: bytes.bytes })
    t.equal(whole.statusCode, 201, type)
    t.same((await app.inject(`/v2/team/other/blobs/${bytes.digest}`)).rawPayload, bytes.bytes)
  }
}

t.test('bytes are taken raw, whatever their Content-Type says (R-024)', async t => {
  await takesRaw(t, ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain; charset=utf-16', 'application/octet-stream', 'x/y'])
})

t.test('bytes are taken raw also when their Content-Type is empty or no media type (R-024)', async t => {
  await takesRaw(t, ['', 'nonsense', 'a b/c', ';'])
})

for (const hash of [sha256, sha512]) {
  const digest = hash(content.bytes)
  t.test(`each way of pushing ends in a blob under its ${hash.name} digest, announced or not (R-077, R-079, R-083, R-104, R-105, R-106)`, async t => {
    for (const query of ['', '?digest-algorithm=sha512', '?digest-algorithm=sha256']) {
      const ways: Array<(app: FastifyInstance) => Promise<LightMyRequestResponse>> = [
        async app => await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${digest}`, payload: content.bytes }),
        async app => await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${digest}`, payload: Readable.from([content.bytes]), headers: { 'transfer-encoding': 'chunked' } }),
        async app => await finish(app, `${await start(app, query)}?digest=${digest}`, content.bytes),
        async app => await finish(app, `${await start(app, query)}?digest=${digest}`, Readable.from([content.bytes.subarray(0, 3), content.bytes.subarray(3)])),
        async app => await finish(app, `${progress(t, await patch(app, await start(app, query), Readable.from([content.bytes])), 202, 10)}?digest=${digest}`),
        async app => {
          const first = progress(t, await patch(app, await start(app, query), '0123', '0-3'), 202, 4)
          const second = progress(t, await patch(app, first, '4', '4-4'), 202, 5)
          return await finish(app, `${second}?digest=${encodeURIComponent(digest)}`, '56789', { 'content-range': '5-9' })
        }
      ]
      for (const push of ways) {
        const app = await build(t)
        created(t, await push(app), digest)
        t.same((await app.inject(`/v2/team/app/blobs/${digest}`)).rawPayload, content.bytes)
      }
    }
  })
}

t.test('an unsupported digest-algorithm is refused (R-078)', async t => {
  const app = await build(t)
  for (const algorithm of ['md5', 'SHA512', '', '__proto__', 'blake3']) {
    const response = await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest-algorithm=${algorithm}` })
    t.same(errorCodes(t, response, 400), ['DIGEST_INVALID'], algorithm)
  }
})

t.test('a push in one POST that does not match, or is malformed, leaves nothing (R-084, R-085, R-110)', async t => {
  const app = await build(t)
  for (const digest of [sha256('other'), sha512('other'), 'sha256:x', 'x', '', 'md5:d41d8cd98f00b204e9800998ecf8427e', sha256('')]) {
    const response = await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${digest}`, payload: content.bytes })
    t.same(errorCodes(t, response, 400), ['DIGEST_INVALID'], digest)
    t.notOk(response.headers['location'])
  }
  t.notOk(await isHere(app, content.digest))
  t.notOk(await isHere(app, sha256('other')))
})

t.test('a digest of something without a body opens a session, the digest of nothing is a blob (R-086, R-111)', async t => {
  const app = await build(t)
  progress(t, await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${content.digest}` }), 202, 0)
  for (const digest of [sha256(''), sha512('')]) {
    created(t, await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?digest=${digest}` }), digest)
  }
})

t.test('the empty blob is closed with no body, with length 0 and with chunked coding (R-025, R-051, R-111)', async t => {
  for (const headers of [{}, { 'content-length': '0' }, { 'transfer-encoding': 'chunked' }]) {
    const app = await build(t)
    const location = progress(t, await patch(app, await start(app)), 202, 0)
    created(t, await finish(app, `${location}?digest=${sha256('')}`, Readable.from([]), headers), sha256(''))
  }
})

t.test('the Location of a 202 says how far the session is, an empty chunk moves nothing (R-087, R-088, R-097, R-098)', async t => {
  const app = await build(t)
  let location = await start(app)
  location = progress(t, await patch(app, location), 202, 0)
  location = progress(t, await patch(app, location, '0', '0-0'), 202, 1)
  location = progress(t, await patch(app, location, '12', 'bytes 1-2'), 202, 3)
  location = progress(t, await patch(app, location), 202, 3)
  progress(t, await patch(app, location, '3'), 202, 4)
})

t.test('a chunk with a gap, an overlap or a restart is 416 with the state, and nothing of it is kept (R-089, R-090, R-093)', async t => {
  const app = await build(t)
  const first = await start(app)
  const location = progress(t, await patch(app, first, '0123', '0-3'), 202, 4)
  const refused: Array<[string, string, string]> = [[location, '5-6', 'xx'], [location, '3-4', 'xx'], [location, '0-3', '0123'], [first, '0-3', '0123'], [first, '4-5', 'xx']]
  for (const [url, range, chunk] of refused) {
    const response = await patch(app, url, chunk, range)
    t.same(errorCodes(t, response, 416), ['RANGE_INVALID'], range)
    t.equal(response.headers['location'], location)
    t.equal(response.headers['range'], '0-3')
    progress(t, await app.inject(location), 204, 4)
  }
  created(t, await finish(app, `${location}?digest=${content.digest}`, '456789', { 'content-range': '4-9' }), content.digest)
})

t.test('an old Location without Content-Range is 416, never a silent append (R-092)', async t => {
  const app = await build(t)
  const first = await start(app)
  const location = progress(t, await patch(app, first, '0123'), 202, 4)
  for (const response of [await patch(app, first, '0123'), await finish(app, `${first}?digest=${content.digest}`, content.bytes)]) {
    t.same(errorCodes(t, response, 416), ['RANGE_INVALID'])
    t.equal(response.headers['location'], location)
    t.equal(response.headers['range'], '0-3')
  }
  created(t, await finish(app, `${location}?digest=${content.digest}`, '456789'), content.digest)
})

t.test('a last chunk out of order is 416 and the session goes on, also at the URL with the digest (R-107, R-120)', async t => {
  const app = await build(t)
  const location = progress(t, await patch(app, await start(app), '0123', '0-3'), 202, 4)
  const url = `${location}?digest=${content.digest}`
  t.same(errorCodes(t, await finish(app, url, '89', { 'content-range': '8-9' }), 416), ['RANGE_INVALID'])
  progress(t, await app.inject(url), 204, 4)
  created(t, await finish(app, url, '456789', { 'content-range': '4-9' }), content.digest)
})

t.test('a Content-Range that cannot be understood is 416 (R-095)', async t => {
  const app = await build(t)
  const location = await start(app)
  for (const range of ['bytes 0-9/10', '0-', '-5', 'a-b', '0-bar', '5-3', '', '0', '-1-2', `0-${'9'.repeat(30)}`, '0-1,2-3']) {
    t.same(errorCodes(t, await patch(app, location, '01', range), 416), ['RANGE_INVALID'], range)
    progress(t, await app.inject(location), 204, 0)
  }
})

t.test('a chunk of another length than its Content-Range is SIZE_INVALID and taken back (R-094, R-096)', async t => {
  const app = await build(t)
  const location = progress(t, await patch(app, await start(app), '0123'), 202, 4)
  for (const chunk of ['45', '45678', Readable.from([Buffer.from('45')]), Readable.from([Buffer.from('456'), Buffer.from('78')])]) {
    t.same(errorCodes(t, await patch(app, location, chunk, '4-6'), 400), ['SIZE_INVALID'])
    progress(t, await app.inject(location), 204, 4)
  }
  created(t, await finish(app, `${location}?digest=${content.digest}`, '456789'), content.digest)
})

t.test('an unknown, finished, cancelled or made-up session is BLOB_UPLOAD_UNKNOWN to every method (R-099, R-115, R-116, R-122, R-124)', async t => {
  const app = await build(t)
  const finished = await start(app)
  created(t, await finish(app, `${finished}?digest=${content.digest}`, content.bytes), content.digest)
  const cancelled = await start(app)
  t.equal((await app.inject({ method: 'DELETE', url: cancelled })).statusCode, 204)
  for (const url of [finished, cancelled, `/v2/team/app/blobs/uploads/${UUID}`, `/v2/team/app/blobs/uploads/${UUID}.0`, '/v2/team/app/blobs/uploads/x', `/v2/team/app/blobs/uploads/${UUID}.-1`, `/v2/team/app/blobs/uploads/${UUID}.01`, `/v2/team/app/blobs/uploads/${UUID.toUpperCase()}a`]) {
    for (const method of ['GET', 'PATCH', 'DELETE', 'PUT'] as const) {
      const response = await app.inject({ method, url: `${url}?digest=${content.digest}` })
      t.same(errorCodes(t, response, 404), ['BLOB_UPLOAD_UNKNOWN'], `${method} ${url}`)
    }
  }
})

t.test('a session belongs to its repository (R-100)', async t => {
  const app = await build(t)
  const location = await start(app)
  const elsewhere = location.replace('/team/app/', '/team/other/')
  for (const method of ['GET', 'PATCH', 'DELETE', 'PUT'] as const) {
    t.same(errorCodes(t, await app.inject({ method, url: `${elsewhere}?digest=${content.digest}` }), 404), ['BLOB_UPLOAD_UNKNOWN'])
  }
  progress(t, await app.inject(location), 204, 0)
})

t.test('bytes that do not match their digest end the session, on every way (R-108)', async t => {
  const app = await build(t)
  const patched = async () => String((await patch(app, await start(app), '01234567890')).headers['location'])
  for (const digest of [content.digest, sha512(content.bytes)]) {
    for (const [location, last] of [[await start(app), '01234567890'], [await patched(), ''], [await patched(), 'x']] as const) {
      t.same(errorCodes(t, await finish(app, `${location}?digest=${digest}`, last), 400), ['DIGEST_INVALID'])
      t.same(errorCodes(t, await app.inject(location), 404), ['BLOB_UPLOAD_UNKNOWN'])
      t.notOk(await isHere(app, digest))
    }
  }
})

t.test('a missing, malformed or ambiguous digest is refused and the session kept (R-109, R-110, R-114)', async t => {
  const app = await build(t)
  const location = progress(t, await patch(app, await start(app), content.bytes), 202, 10)
  for (const query of ['', '?', '?digest', '?digest=', '?digest=x', '?digest=sha256:x', '?digest=md5:d41d8cd98f00b204e9800998ecf8427e', `?digest=${content.digest}&digest=${sha256('x')}`]) {
    t.same(errorCodes(t, await finish(app, `${location}${query}`), 400), ['DIGEST_INVALID'], query)
    progress(t, await app.inject(location), 204, 10)
  }
  created(t, await finish(app, `${location}?x=1&digest=${encodeURIComponent(content.digest)}&digest=${content.digest}`), content.digest)
})

t.test('status answers at every Location ever given, with GET and HEAD (R-018, R-120, R-121)', async t => {
  const app = await build(t)
  const first = await start(app)
  const second = progress(t, await patch(app, first, '0123'), 202, 4)
  for (const url of [first, second, `${first}?digest=${content.digest}`, second.replace(/\.\d+$/, '')]) {
    for (const method of ['GET', 'HEAD'] as const) t.equal(progress(t, await app.inject({ method, url }), 204, 4), second)
  }
})

t.test('a cancelled session is gone with its bytes (R-123)', async t => {
  const app = await build(t)
  const location = progress(t, await patch(app, await start(app), '0123'), 202, 4)
  const response = await app.inject({ method: 'DELETE', url: location, headers: { 'content-length': '0' } })
  t.equal(response.statusCode, 204)
  t.same(ownHeaders(response), { ...VERSION, 'docker-upload-uuid': /uploads\/([0-9a-f-]{36})/.exec(location)?.[1] })
  t.same(errorCodes(t, await patch(app, location, '4'), 404), ['BLOB_UPLOAD_UNKNOWN'])
})

t.test('of two PATCHes on one session at once one wins, and bytes never mix (R-102)', async t => {
  const app = await build(t)
  const location = await start(app)
  const answers = await Promise.all(['a', 'b'].map(async letter => await patch(app, location, Readable.from([Buffer.from(letter), Buffer.from(letter)]), '0-1')))
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [202, 416])
  const winner = answers[0]?.statusCode === 202 ? 'aa' : 'bb'
  created(t, await finish(app, `${location.replace(/\.0$/, '.2')}?digest=${sha256(winner)}`), sha256(winner))
})

t.test('two sessions with the same content may be closed at once (R-117)', async t => {
  const app = await build(t)
  const locations = await Promise.all([1, 2, 3].map(async () => await start(app)))
  for (const response of await Promise.all(locations.map(async url => await finish(app, `${url}?digest=${content.digest}`, content.bytes)))) created(t, response, content.digest)
  t.ok(await isHere(app, content.digest))
})

t.test('a blob of another repository is mounted, its query escaped or raw (R-015, R-127, R-133, R-135)', async t => {
  for (const digest of [content.digest, sha512(content.bytes)]) {
    for (const query of [`mount=${digest}&from=team/base`, `from=team%2Fbase&mount=${encodeURIComponent(digest)}&origin=x`]) {
      const app = await build(t)
      await pushBlob(t, app, 'team/base', { bytes: content.bytes, digest })
      created(t, await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?${query}` }), digest)
      t.same((await app.inject(`/v2/team/app/blobs/${digest}`)).rawPayload, content.bytes)
    }
  }
})

t.test('a mount that cannot be made is the start of an upload (R-015, R-128, R-131, R-132)', async t => {
  const app = await build(t)
  await pushBlob(t, app, 'team/base', content)
  for (const query of [`mount=${sha256('x')}&from=team/base`, `mount=${content.digest}&from=team/none`, `mount=${sha256('x')}`, 'mount=x&from=team/base', `mount=${content.digest}&from=UPPER`, `mount=${content.digest}&from=team/app`, `mount=${content.digest}&from=`, 'from=team/base', 'mount=&from=']) {
    const location = progress(t, await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?${query}` }), 202, 0)
    t.notOk(await isHere(app, content.digest), query)
    const bytes = blob(query)
    created(t, await finish(app, `${location}?digest=${bytes.digest}`, bytes.bytes), bytes.digest)
  }
})

t.test('a mount without a source finds a blob that was pushed here (R-129)', async t => {
  const app = await build(t)
  await pushBlob(t, app, 'team/base', content)
  created(t, await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?mount=${content.digest}` }), content.digest)
  t.ok(await isHere(app, content.digest))
  await app.inject({ method: 'DELETE', url: `/v2/team/app/blobs/${content.digest}` })
  await app.inject({ method: 'DELETE', url: `/v2/team/base/blobs/${content.digest}` })
  progress(t, await app.inject({ method: 'POST', url: `/v2/team/app/blobs/uploads/?mount=${content.digest}` }), 202, 0)
})

t.test('Location is absolute unless configured, by Host, by what a proxy says, or by http.host (R-014)', async t => {
  const app = await build(t, { storage: { inmemory: {} }, prefix: '/p' })
  const location = async (on: FastifyInstance, headers: Record<string, string>) => {
    return String((await on.inject({ method: 'POST', url: '/p/v2/team/app/blobs/uploads/', headers })).headers['location']).split('/blobs/')[0]
  }
  t.equal(await location(app, { host: 'r.example:5000' }), 'http://r.example:5000/p/v2/team/app')
  t.equal(await location(app, { host: 'x', 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'r.example, x' }), 'https://r.example/p/v2/team/app')
  t.equal(await location(app, { host: 'x', forwarded: 'for=1;proto=https;host="r.example:8443", for=2;host=y', 'x-forwarded-host': 'z' }), 'https://r.example:8443/p/v2/team/app')
  const configured = await build(t, { ...IN_MEMORY, http: { host: 'https://public.example' }, prefix: '/p' })
  t.equal(await location(configured, { host: 'x', 'x-forwarded-host': 'y' }), 'https://public.example/p/v2/team/app')
})
