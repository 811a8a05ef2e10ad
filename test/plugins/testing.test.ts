import { createHash } from 'node:crypto'
import t from 'tap'
import { blob, image, startRegistry } from '../../testing.js'
import type { Fault, TestRegistry } from '../../testing.js'
import { answerOf, begin, openSession } from '../helpers/http2.js'
import type { Http2Answer } from '../helpers/http2.js'

const LARGE = blob(Buffer.alloc(3_000_000, 'x'))

async function upload (registry: TestRegistry): Promise<string> {
  const started = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  return String(started.headers.get('location'))
}

async function bytesOf (response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer())
}

for (const http of [{}, { h2c: { enabled: true } }]) {
  t.test(`a PATCH that is reset leaves exactly as many bytes as were asked for; h2c ${'h2c' in http ? 'allowed' : 'not allowed'}`, async t => {
    await using registry = await startRegistry({ http })
    for (const after of [1, 65_536, 2_000_000]) {
      const location = await upload(registry)
      const fault = registry.fail({ method: 'PATCH', after, as: 'reset' })
      await t.rejects(fetch(location, { method: 'PATCH', body: LARGE.bytes }))
      t.equal(fault.hits, 1)
      const state = await fetch(location)
      t.equal(state.status, 204)
      t.equal(state.headers.get('range'), `0-${after - 1}`)
      const rest = await fetch(String(state.headers.get('location')), { method: 'PATCH', body: LARGE.bytes.subarray(after) })
      t.equal(rest.status, 202)
      t.equal((await fetch(`${String(rest.headers.get('location'))}?digest=${LARGE.digest}`, { method: 'PUT' })).status, 201)
    }
  })
}

t.test('over HTTP/2 it is the stream that is reset, not the session', async t => {
  await using registry = await startRegistry({ http: { relativeurls: true, h2c: { enabled: true } } })
  await registry.seed(image({ layers: [LARGE.bytes] }), 'team/app:1.0')
  const session = await openSession(t, registry.url)
  const ask = async (method: string, path: string, body?: Buffer): Promise<Http2Answer> => {
    const stream = begin(session, method, path, {}, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    return await answerOf(stream)
  }
  const location = String((await ask('POST', '/v2/team/app/blobs/uploads/')).headers['location'])
  registry.fail({ method: 'PATCH', after: 100_000, as: 'reset' })
  await t.rejects(ask('PATCH', location, LARGE.bytes))
  t.match(await ask('GET', location), { status: 204, headers: { range: '0-99999' } })
  for (const as of ['truncate', 'reset'] as const) {
    registry.fail({ method: 'GET', after: 1000, as })
    await t.rejects(ask('GET', `/v2/team/app/blobs/${LARGE.digest}`))
  }
  registry.fail({ as: 'reset' })
  await t.rejects(ask('GET', '/v2/'))
  t.equal((await ask('GET', `/v2/team/app/blobs/${LARGE.digest}`)).body.length, LARGE.size)
})

t.test('a body that is shorter than the fault waits for passes and does not count', async t => {
  await using registry = await startRegistry()
  const fault = registry.fail({ method: 'PATCH', after: 10, as: 'reset' })
  t.equal((await fetch(await upload(registry), { method: 'PATCH', body: 'short' })).status, 202)
  t.equal(fault.hits, 0)
  await t.rejects(fetch(await upload(registry), { method: 'PATCH', body: 'long enough' }))
  t.equal((await fetch(await upload(registry), { method: 'PATCH', body: 'long enough' })).status, 202)
  t.equal(fault.hits, 1)
})

t.test('a reset without bytes keeps the request from the registry, and has no status', async t => {
  await using registry = await startRegistry()
  registry.fail({ as: 'reset' })
  await t.rejects(fetch(`${registry.url}/v2/`))
  t.match(registry.requests, [{ path: '/v2/', status: undefined }])
  t.equal((await fetch(`${registry.url}/v2/`)).status, 200)
})

t.test('answers with a status, so many times, after so many', async t => {
  await using registry = await startRegistry()
  registry.fail({ path: /\/tags\//, as: 429, retryAfter: 3, skip: 1, times: 2 })
  const statuses = []
  for (let i = 0; i < 4; i++) {
    const response = await fetch(`${registry.url}/v2/team/app/tags/list`)
    const { errors: [{ code }] } = await response.json() as { errors: [{ code: string }] }
    statuses.push([response.status, code, response.headers.get('retry-after')])
  }
  t.same(statuses, [[404, 'NAME_UNKNOWN', null], [429, 'TOOMANYREQUESTS', '3'], [429, 'TOOMANYREQUESTS', '3'], [404, 'NAME_UNKNOWN', null]])
  t.equal((await fetch(`${registry.url}/v2/`)).status, 200)
})

t.test('each status has an error body, and a 401 a challenge', async t => {
  await using registry = await startRegistry()
  for (const [as, code] of [[401, 'UNAUTHORIZED'], [403, 'DENIED'], [418, 'UNSUPPORTED'], [500, 'UNKNOWN'], [503, 'UNAVAILABLE'], [599, 'UNKNOWN']] as const) {
    registry.fail({ as })
    const response = await fetch(`${registry.url}/v2/`, { method: 'GET' })
    t.equal(response.status, as)
    t.match(await response.json(), { errors: [{ code }] })
    if (as === 401) t.match(response.headers.get('www-authenticate'), /^Basic /)
  }
})

t.test('a status also answers a request whose body is large', async t => {
  await using registry = await startRegistry()
  registry.fail({ method: ['PUT', 'PATCH'], as: 500 })
  t.equal((await fetch(await upload(registry), { method: 'PATCH', body: LARGE.bytes })).status, 500)
})

t.test('an expired token is a challenge that says so, for what was asked', async t => {
  await using registry = await startRegistry()
  const challenge = async (fault: Partial<Fault>, init: RequestInit, path = '/v2/team/app/manifests/1.0'): Promise<string | null> => {
    registry.fail({ ...fault, as: 'expired-token' })
    const response = await fetch(`${registry.url}${path}`, init)
    t.equal(response.status, 401)
    return response.headers.get('www-authenticate')
  }
  t.equal(await challenge({}, {}), `Bearer realm="${registry.url}/token",service="${registry.host}",scope="repository:team/app:pull",error="invalid_token"`)
  t.equal(await challenge({ realm: 'https://auth.example/token' }, { method: 'PUT', body: '{}' }), `Bearer realm="https://auth.example/token",service="${registry.host}",scope="repository:team/app:pull,push",error="invalid_token"`)
  for (const path of ['/v2/', '//']) t.match(await challenge({}, {}, path), /error="invalid_token"$/, path)
})

t.test('a body is cut off where its length promised more', async t => {
  await using registry = await startRegistry()
  const app = image({ layers: [LARGE.bytes] })
  await registry.seed(app, 'team/app:1.0')
  for (const as of ['truncate', 'reset'] as const) {
    for (const path of [`/v2/team/app/blobs/${LARGE.digest}`, '/v2/team/app/manifests/1.0']) {
      registry.fail({ method: 'GET', as, after: 100 })
      const response = await fetch(`${registry.url}${path}`)
      t.equal(response.status, 200)
      let received = 0
      await t.rejects(async () => { for await (const chunk of response.body as AsyncIterable<Uint8Array>) received += chunk.length })
      // What was sent before a reset need not have been read.
      if (as === 'truncate') t.equal(received, 100)
      t.equal((await bytesOf(await fetch(`${registry.url}${path}`))).length, path.includes('blobs') ? LARGE.size : app.size)
    }
  }
  registry.fail({ as: 'truncate' })
  await t.rejects(async () => await bytesOf(await fetch(`${registry.url}/v2/team/app/manifests/1.0`)))
})

t.test('a body has one wrong bit, and storage still the right one', async t => {
  await using registry = await startRegistry()
  const app = image({ layers: [LARGE.bytes] })
  await registry.seed(app, 'team/app:1.0')
  for (const [path, { size, digest }] of [[`/v2/team/app/blobs/${LARGE.digest}`, LARGE], ['/v2/team/app/manifests/1.0', app]] as const) {
    registry.fail({ as: 'corrupt' })
    const spoiled = await bytesOf(await fetch(`${registry.url}${path}`))
    const right = await bytesOf(await fetch(`${registry.url}${path}`))
    t.equal(spoiled.length, size)
    t.equal(sha256(right), digest)
    t.equal(spoiled.filter((byte, i) => byte !== right[i]).length, 1)
  }
})

t.test('the digest in the header is another one', async t => {
  await using registry = await startRegistry()
  const app = image()
  await registry.seed(app, 'team/app:1.0')
  const fault = registry.fail({ as: 'wrong-digest', times: 2 })
  await fetch(`${registry.url}/v2/`)
  t.equal(fault.hits, 0)
  for (const method of ['GET', 'HEAD']) {
    const { headers } = await fetch(`${registry.url}/v2/team/app/manifests/1.0`, { method })
    t.match(headers.get('docker-content-digest'), /^sha256:[a-f0-9]{64}$/)
    t.not(headers.get('docker-content-digest'), app.digest)
    t.equal(headers.get('etag'), `"${String(headers.get('docker-content-digest'))}"`)
  }
  t.equal((await fetch(`${registry.url}/v2/team/app/manifests/1.0`)).headers.get('docker-content-digest'), app.digest)
})

t.test('a request is slow, alone or before something else', async t => {
  await using registry = await startRegistry()
  const timed = async (fault: Fault): Promise<[number, boolean]> => {
    registry.fail(fault)
    const start = performance.now()
    const { status } = await fetch(`${registry.url}/v2/`)
    return [status, performance.now() - start >= 45]
  }
  t.same(await timed({ delay: 50 }), [200, true])
  t.same(await timed({ delay: 50, as: 503 }), [503, true])
  const location = await upload(registry)
  registry.fail({ method: 'PATCH', delay: 20, after: 1000, as: 'reset' })
  await t.rejects(fetch(location, { method: 'PATCH', body: LARGE.bytes }))
  t.equal((await fetch(location)).headers.get('range'), '0-999')
})

t.test('closing does not wait for a slow request', async t => {
  const registry = await startRegistry()
  registry.fail({ delay: 600_000 })
  const slow = t.rejects(fetch(`${registry.url}/v2/`))
  await until(() => registry.requests.length === 1)
  await registry.close()
  await slow
})

t.test('a fault ends: by itself, by hand, with its block, and with all others', async t => {
  await using registry = await startRegistry()
  const status = async (): Promise<number> => (await fetch(`${registry.url}/v2/`)).status
  const fault = registry.fail({ as: 500, times: Infinity })
  t.same([await status(), await status()], [500, 500])
  fault.end()
  t.equal(await status(), 200)
  {
    using scoped = registry.fail({ path: '/v2/', as: 500, times: Infinity })
    t.equal(await status(), 500)
    t.equal(scoped.hits, 1)
  }
  t.equal(await status(), 200)
  registry.fail({ as: 500, times: Infinity })
  registry.heal()
  t.equal(await status(), 200)
})

t.test('a fault that makes no sense is a mistake in the test', async t => {
  await using registry = await startRegistry()
  for (const fault of [{}, { as: 200 }, { as: 'explode' }, { as: 500, after: 1 }, { as: 'reset', after: -1 }, { delay: NaN }, { as: 500, times: '2' }]) {
    t.throws(() => registry.fail(fault as Fault), TypeError, JSON.stringify(fault))
  }
})

function sha256 (bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

async function until (condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => { setImmediate(resolve) })
}
