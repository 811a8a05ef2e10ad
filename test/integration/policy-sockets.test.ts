import t from 'tap'
import { startRegistry } from '../../testing.js'
import type { TestRegistry } from '../../testing.js'
import type { PolicyHooks } from '../../index.js'
import { blob } from '../helpers/images.js'
import { RawConnection, rawRequest } from '../helpers/raw-http.js'

const UPLOADS = '/v2/team/app/blobs/uploads/'
const MAX = 100_000
const limited: PolicyHooks = { beforePush: () => ({ limit: bytes => bytes > MAX ? { deny: `more than ${MAX} bytes` } : undefined }) }

async function start (registry: TestRegistry): Promise<string> {
  const { headers } = await rawRequest(registry.host, 'POST', UPLOADS, { 'content-length': '0' })
  return new URL(headers.get('location') ?? '').pathname
}

t.test('a push that is refused is refused before its body is asked for', async t => {
  await using registry = await startRegistry({ hooks: { beforePush: () => ({ deny: 'closed for the day' }) } })
  const connection = await RawConnection.open(registry.host)
  const { digest } = blob('x')
  connection.send(`POST ${UPLOADS}?digest=${digest} HTTP/1.1\r\nHost: ${registry.host}\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n`)
  const { status, body } = await connection.answer()
  t.equal(status, 403, 'no 100 Continue before it')
  t.match(body, 'closed for the day')
  connection.abort()
})

t.test('a body that declares too much is refused before it is asked for', async t => {
  await using registry = await startRegistry({ hooks: limited })
  const location = await start(registry)
  const connection = await RawConnection.open(registry.host)
  connection.send(`PATCH ${location} HTTP/1.1\r\nHost: ${registry.host}\r\nExpect: 100-continue\r\nContent-Length: ${MAX + 1}\r\n\r\n`)
  const { status, body } = await connection.answer()
  t.equal(status, 403, 'no 100 Continue before it')
  t.match(body, `more than ${MAX} bytes`)
  connection.abort()
})

t.test('a body without a length is cut off where the limit is, and nothing of it stays', async t => {
  await using registry = await startRegistry({ hooks: limited })
  const location = await start(registry)
  const connection = await RawConnection.open(registry.host)
  connection.send(`PATCH ${location} HTTP/1.1\r\nHost: ${registry.host}\r\nTransfer-Encoding: chunked\r\n\r\n`)
  const chunk = `${(8192).toString(16)}\r\n${'x'.repeat(8192)}\r\n`
  for (let sent = 0; sent <= MAX; sent += 8192) connection.send(chunk)
  // The body is not over: the refusal comes while the client is still sending.
  const { status, body } = await connection.answer()
  t.equal(status, 403)
  t.match(body, `more than ${MAX} bytes`)
  connection.abort()
  t.equal((await rawRequest(registry.host, 'GET', location)).status, 404)
})

t.test('what keeps to the limit goes through, whole and in pieces', async t => {
  await using registry = await startRegistry({ hooks: limited })
  const whole = blob('y'.repeat(MAX))
  t.equal((await fetch(`${registry.url}${UPLOADS}?digest=${whole.digest}`, { method: 'POST', body: whole.bytes })).status, 201)
  const halves = await fetch(`${registry.url}${await start(registry)}`, { method: 'PATCH', body: whole.bytes.subarray(0, MAX / 2) })
  const finished = await fetch(`${halves.headers.get('location') ?? ''}?digest=${whole.digest}`, { method: 'PUT', body: whole.bytes.subarray(MAX / 2) })
  t.equal(finished.status, 201)
})

t.test('a quota and a layer size hold for bodies without a length too, and several at a time', async t => {
  const policy = { quotas: [{ repositories: ['team/*'], bytes: '100kB' }], sizes: [{ repositories: ['sized'], layer: '50kB' }] }
  await using registry = await startRegistry({ policy })
  const chunk = `${(4096).toString(16)}\r\n${'x'.repeat(4096)}\r\n`
  const locations = [await start(registry), await start(registry), await start(registry)]
  const [first, second, third] = await Promise.all(locations.map(async location => {
    const connection = await RawConnection.open(registry.host)
    connection.send(`PATCH ${location} HTTP/1.1\r\nHost: ${registry.host}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`)
    return connection
  })) as [RawConnection, RawConnection, RawConnection]
  for (const connection of [first, second]) {
    for (let i = 1; i < 10; i++) connection.send(chunk)
    connection.send('0\r\n\r\n')
    t.equal((await connection.answer()).status, 202, 'two of 40 960 bytes fit')
    connection.socket.destroy()
  }
  for (let i = 1; i < 10; i++) third.send(chunk)
  const refused = await third.answer()
  third.abort()
  t.equal(refused.status, 403)
  t.match(refused.body, /repository team\/app may hold 100kB: it holds 0 bytes, 81920 are being pushed, and this needs \d+/)
  t.equal((await rawRequest(registry.host, 'GET', locations[2] ?? '')).status, 404)

  const { headers } = await rawRequest(registry.host, 'POST', '/v2/sized/blobs/uploads/', { 'content-length': '0' })
  const connection = await RawConnection.open(registry.host)
  connection.send(`PATCH ${new URL(headers.get('location') ?? '').pathname} HTTP/1.1\r\nHost: ${registry.host}\r\nTransfer-Encoding: chunked\r\n\r\n`)
  for (let i = 0; i < 13; i++) connection.send(chunk)
  const { status, body } = await connection.answer()
  t.equal(status, 403)
  t.match(body, 'a layer may have 50kB')
  connection.abort()
})
