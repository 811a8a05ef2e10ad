import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { build, errorCodes } from '../helpers/build.js'
import { blob, image, pushBlob, pushManifest, sha256, sha512 } from '../helpers/images.js'
import { ownHeaders } from '../suites/registry-behaviour.js'

const VERSION = { 'docker-distribution-api-version': 'registry/2.0' }
const bytes = Buffer.from(Array.from({ length: 2048 }, (_, i) => i % 251))
const content = blob(bytes)
const algorithms = [['sha256', sha256(bytes)], ['sha512', sha512(bytes)]] as const

function url (digest: string, name = 'team/app'): string {
  return `/v2/${name}/blobs/${digest}`
}

async function withBlob (t: Test, digest: string = content.digest, payload = bytes): Promise<FastifyInstance> {
  const app = await build(t)
  await pushBlob(t, app, 'team/app', { bytes: payload, digest: digest as typeof content.digest })
  return app
}

async function ranged (app: FastifyInstance, digest: string, range: string): Promise<LightMyRequestResponse> {
  return await app.inject({ url: url(digest), headers: { range } })
}

/** Headers of a blob's 200, by the digest it was asked by. */
function blobHeaders (digest: string, size: number): Record<string, string> {
  return {
    ...VERSION,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'cache-control': 'max-age=31536000, immutable',
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'content-length': String(size)
  }
}

for (const [algorithm, digest] of algorithms) {
  t.test(`a blob pushed under ${algorithm} is read with exact headers and bytes (R-048, R-049, R-050, R-055, R-056, R-072)`, async t => {
    const app = await withBlob(t, digest)
    const got = await app.inject(url(digest))
    t.equal(got.statusCode, 200)
    t.same(got.rawPayload, bytes)
    t.same(ownHeaders(got), blobHeaders(digest, 2048))
    const head = await app.inject({ method: 'HEAD', url: url(digest) })
    t.equal(head.statusCode, 200)
    t.equal(head.rawPayload.length, 0)
    t.same(ownHeaders(head), blobHeaders(digest, 2048))
  })

  t.test(`a single range of a blob under ${algorithm} is 206 with that slice (R-058, R-059, R-060, R-061, R-064)`, async t => {
    const app = await withBlob(t, digest)
    const ranges: Array<[string, number, number]> = [
      ['bytes=500-1499', 500, 1499], ['bytes=500-', 500, 2047], ['bytes=-500', 1548, 2047], ['bytes=2000-5000', 2000, 2047],
      ['bytes=0-', 0, 2047], ['bytes=0-0', 0, 0], ['bytes=2047-2047', 2047, 2047], ['bytes=-5000', 0, 2047],
      ['bytes=10-99999999999999999999999', 10, 2047], ['bytes=-99999999999999999999999', 0, 2047]
    ]
    for (const [range, start, end] of ranges) {
      const response = await ranged(app, digest, range)
      t.equal(response.statusCode, 206, range)
      t.same(response.rawPayload, bytes.subarray(start, end + 1), range)
      t.same(ownHeaders(response), { ...blobHeaders(digest, end - start + 1), 'content-range': `bytes ${start}-${end}/2048` }, range)
    }
  })

  t.test(`a range outside a blob under ${algorithm} is 416 and shows nothing of the blob (R-062, R-063, R-065, R-070)`, async t => {
    const app = await withBlob(t, digest)
    for (const range of ['bytes=500-0', 'bytes=5000-10000', 'bytes=2048-', 'bytes=-0', 'bytes=99999999999999999999-']) {
      const response = await ranged(app, digest, range)
      t.same(errorCodes(t, response, 416), ['RANGE_INVALID'], range)
      t.equal(response.headers['content-range'], 'bytes */2048')
      t.equal(response.headers['content-length'], String(response.rawPayload.length))
      t.notOk(response.headers['etag'])
      t.notOk(response.headers['cache-control'])
    }
  })
}

t.test('a Range that cannot be understood is passed over (R-066)', async t => {
  const app = await withBlob(t)
  for (const range of ['items=0-1', 'bytes', 'bytes=', 'bytes=-', 'bytes=a-b', 'bytes=0', 'Bytes=0-1', 'bytes=1-2-3', 'bytes=0x1-0x2', 'bytes=0-1,a']) {
    const response = await ranged(app, content.digest, range)
    t.equal(response.statusCode, 200, range)
    t.same(response.rawPayload, bytes)
    t.notOk(response.headers['content-range'])
  }
})

t.test('of several ranges those that can be satisfied are sent as parts (R-067)', async t => {
  const app = await withBlob(t)
  const response = await ranged(app, content.digest, 'bytes=0-1, 5000-6000, 100-109,-3')
  t.equal(response.statusCode, 206)
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(String(response.headers['content-type']))?.[1]
  t.ok(boundary)
  t.notOk(response.headers['content-range'])
  const parts = [[0, 1], [100, 109], [2045, 2047]].map(([start = 0, end = 0]) => Buffer.concat([
    Buffer.from(`--${boundary}\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes ${start}-${end}/2048\r\n\r\n`),
    bytes.subarray(start, end + 1),
    Buffer.from('\r\n')
  ]))
  t.same(response.rawPayload, Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]))
  t.equal(response.headers['content-length'], String(response.rawPayload.length))
})

t.test('of several ranges only one of which can be satisfied that one is sent, none is 416, and too many are everything (R-067)', async t => {
  const app = await withBlob(t)
  const one = await ranged(app, content.digest, 'bytes=5000-6000,3-4')
  t.equal(one.statusCode, 206)
  t.equal(one.headers['content-range'], 'bytes 3-4/2048')
  t.same(one.rawPayload, bytes.subarray(3, 5))
  t.same(errorCodes(t, await ranged(app, content.digest, 'bytes=5000-6000,7000-'), 416), ['RANGE_INVALID'])
  const many = await ranged(app, content.digest, 'bytes=0-,0-,0-')
  t.equal(many.statusCode, 200)
  t.same(many.rawPayload, bytes)
})

t.test('a range on the empty blob is 416, the blob itself says its length is 0 (R-051, R-065)', async t => {
  const digest = sha256('')
  const app = await withBlob(t, digest, Buffer.alloc(0))
  for (const method of ['GET', 'HEAD'] as const) {
    const response = await app.inject({ method, url: url(digest) })
    t.equal(response.statusCode, 200)
    t.same(ownHeaders(response), blobHeaders(digest, 0))
    t.equal(response.rawPayload.length, 0)
  }
  for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) {
    const response = await ranged(app, digest, range)
    t.same(errorCodes(t, response, 416), ['RANGE_INVALID'])
    t.equal(response.headers['content-range'], 'bytes */0')
  }
})

t.test('a Range on HEAD is passed over (R-069)', async t => {
  const app = await withBlob(t)
  for (const range of ['bytes=0-1', 'bytes=5000-']) {
    const response = await app.inject({ method: 'HEAD', url: url(content.digest), headers: { range } })
    t.equal(response.statusCode, 200)
    t.same(ownHeaders(response), blobHeaders(content.digest, 2048))
  }
})

t.test('If-None-Match with the entity tag is 304 without a body (R-018, R-057)', async t => {
  const app = await withBlob(t)
  const etag = `"${content.digest}"`
  for (const condition of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    for (const method of ['GET', 'HEAD'] as const) {
      const response = await app.inject({ method, url: url(content.digest), headers: { 'if-none-match': condition, range: 'bytes=0-1' } })
      t.equal(response.statusCode, 304, condition)
      t.equal(response.rawPayload.length, 0)
      t.equal(response.headers['etag'], etag)
      t.notOk(response.headers['content-type'])
      t.notOk(response.headers['content-length'])
    }
  }
  t.equal((await app.inject({ url: url(content.digest), headers: { 'if-none-match': '"other"' } })).statusCode, 200)
})

t.test('a Range counts only while If-Range names the content (R-068)', async t => {
  const app = await withBlob(t)
  const etag = `"${content.digest}"`
  const conditions: Array<[string, number]> = [[etag, 206], ['"other"', 200], [`W/${etag}`, 200], ['Wed, 21 Oct 2015 07:28:00 GMT', 200]]
  for (const [condition, status] of conditions) {
    const response = await app.inject({ url: url(content.digest), headers: { range: 'bytes=0-1', 'if-range': condition } })
    t.equal(response.statusCode, status, condition)
    t.equal(response.rawPayload.length, status === 206 ? 2 : 2048)
  }
})

t.test('a blob that is not in the repository is BLOB_UNKNOWN, wherever else it is (R-040, R-052, R-053)', async t => {
  const app = await withBlob(t)
  const absent: Array<[string, string]> = [[sha256('x'), 'team/app'], [sha512('x'), 'team/app'], [sha512(bytes), 'team/app'], [content.digest, 'team/other'], [content.digest, 'team']]
  for (const [digest, name] of absent) {
    const response = await app.inject(url(digest, name))
    t.same(errorCodes(t, response, 404), ['BLOB_UNKNOWN'])
    t.notOk(response.headers['etag'])
    const head = await app.inject({ method: 'HEAD', url: url(digest, name) })
    t.equal(head.statusCode, 404)
    t.equal(head.rawPayload.length, 0)
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url: url(digest, name) }), 404), ['BLOB_UNKNOWN'])
  }
})

t.test('a malformed digest is DIGEST_INVALID (R-034, R-036, R-054)', async t => {
  const app = await withBlob(t)
  const { digest } = content
  for (const bad of ['latest', 'sha256:xyz', `sha256:${digest.slice(7).toUpperCase()}`, `${digest}0`, digest.slice(0, -1), `sha512:${digest.slice(7)}`, 'md5:d41d8cd98f00b204e9800998ecf8427e', '__proto__:x', `${digest}%00`]) {
    t.same(errorCodes(t, await app.inject(url(bad)), 400), ['DIGEST_INVALID'], bad)
    t.equal((await app.inject({ method: 'HEAD', url: url(bad) })).statusCode, 400)
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url: url(bad) }), 400), ['DIGEST_INVALID'], bad)
  }
})

t.test('a blob is never encoded, whatever Accept-Encoding says (R-013)', async t => {
  const app = await withBlob(t)
  const response = await app.inject({ url: url(content.digest), headers: { 'accept-encoding': 'zstd, gzip, br', accept: 'text/html' } })
  t.same(response.rawPayload, bytes)
  t.same(ownHeaders(response), blobHeaders(content.digest, 2048))
})

t.test('a deleted blob is gone at once and can be pushed again, again and again (R-137, R-140, R-141)', async t => {
  const app = await withBlob(t)
  for (let i = 0; i < 3; i++) {
    const response = await app.inject({ method: 'DELETE', url: url(content.digest) })
    t.equal(response.statusCode, 202)
    t.same(ownHeaders(response), { ...VERSION, 'content-length': '0' })
    t.equal((await app.inject({ method: 'HEAD', url: url(content.digest) })).statusCode, 404)
    t.same(errorCodes(t, await app.inject({ method: 'DELETE', url: url(content.digest) }), 404), ['BLOB_UNKNOWN'])
    await pushBlob(t, app, 'team/app', content)
    t.same((await app.inject(url(content.digest))).rawPayload, bytes)
  }
})

t.test('a delete under sha512 removes the blob under both its digests', async t => {
  const app = await withBlob(t, sha512(bytes))
  t.equal((await app.inject(url(content.digest))).statusCode, 200)
  t.equal((await app.inject({ method: 'DELETE', url: url(sha512(bytes)) })).statusCode, 202)
  for (const [, digest] of algorithms) t.equal((await app.inject(url(digest))).statusCode, 404)
})

t.test('a delete touches no other repository and no manifest that needs the blob (R-136, R-142, R-143)', async t => {
  const app = await build(t)
  const manifest = image()
  const layer = manifest.blobs[1]?.digest ?? ''
  for (const name of ['team/app', 'team/other']) await pushManifest(t, app, name, manifest, '1.0')
  t.equal((await app.inject({ method: 'POST', url: `/v2/team/third/blobs/uploads/?mount=${layer}&from=team/app` })).statusCode, 201)
  t.equal((await app.inject({ method: 'DELETE', url: url(layer) })).statusCode, 202)
  t.equal((await app.inject(url(layer))).statusCode, 404)
  t.equal((await app.inject('/v2/team/app/manifests/1.0')).statusCode, 200)
  for (const name of ['team/other', 'team/third']) t.equal((await app.inject(url(layer, name))).body, 'content of layer')
})
