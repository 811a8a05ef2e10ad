import t from 'tap'
import { OciError } from '../../services/errors/oci-error.js'
import { rawRequest } from '../helpers/raw-http.js'
import { content, BLOB, CHUNKED, started, opened, push, session, head, chunk, codes } from '../helpers/sockets.js'

const REFUSED: Array<[string, string, string, Record<string, string>, number]> = [
  ['an unknown session', 'PATCH', '/v2/team/app/blobs/uploads/00000000-0000-4000-8000-000000000000', {}, 404],
  ['a wrong Content-Range', 'PATCH', '', { 'content-range': '7-9' }, 416],
  ['a name that is none', 'PUT', '/v2/UPPER/manifests/1.0', {}, 400],
  ['a wrong method', 'POST', '/v2/team/app/manifests/1.0', {}, 405],
  ['no path of ours', 'PUT', '/nowhere', {}, 404]
]

for (const [why, method, path, headers, status] of REFUSED) {
  t.test(`a refusal because of ${why} reaches a client that is still sending, and its connection lives on (R-017)`, async t => {
    const registry = await started(t)
    await push(t, registry)
    const url = path === '' ? await session(registry) : path
    for (const [framing, rest] of [[{ 'content-length': 20 }, 'x'.repeat(10)], [CHUNKED, chunk('x'.repeat(10)) + chunk('')]] as const) {
      const connection = await opened(t, registry)
      connection.send(head(method, url, { ...headers, ...framing }) + (rest.startsWith('x') ? 'x'.repeat(10) : chunk('x')))
      t.equal((await connection.answer()).status, status)
      connection.send(rest + head('GET', BLOB))
      t.equal((await connection.answer()).body, '0123456789')
    }
  })
}

t.test('a 401 reaches a client that is still sending, and its connection lives on (R-017, R-247)', async t => {
  const authorize = (): never => { throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="x"' } }) }
  const registry = await started(t, { instances: { accessController: { authorize } } })
  const connection = await opened(t, registry)
  for (const [method, path] of [['POST', `/v2/team/app/blobs/uploads/?digest=${content.digest}`], ['PUT', '/v2/team/app/manifests/1.0']] as const) {
    connection.send(head(method, path, { 'content-length': 10 }) + '01234')
    const refused = await connection.answer()
    t.same(codes(t, refused, 401), ['UNAUTHORIZED'])
    t.equal(refused.headers.get('www-authenticate'), 'Basic realm="x"')
    connection.send('56789')
  }
  connection.send(head('GET', '/v2/'))
  t.equal((await connection.answer()).status, 401)
})

for (const path of ['/v2/team/app/blobs/uploads/00000000-0000-4000-8000-000000000000', '/v2/nowhere', '/nowhere']) {
  t.test(`an endless body to ${path.slice(0, 24)} is cut off after a bound (R-017)`, async t => {
    const registry = await started(t)
    const connection = await opened(t, registry)
    // An event of its own: `once` would reject with the reset that is hoped for.
    const closed = new Promise<void>(resolve => { connection.socket.once('close', () => { resolve() }) })
    const piece = chunk('x'.repeat(64 * 1024))
    connection.send(head('PATCH', path, CHUNKED) + piece)
    t.equal((await connection.answer()).status, 404)
    // More is sent than the server reads, because the buffers of two sockets lie between.
    let left = 64 * 1024 * 1024
    while (!connection.socket.destroyed && left > 0) {
      left -= piece.length
      if (!connection.socket.write(piece)) {
        await Promise.race([closed, new Promise<void>(resolve => { connection.socket.once('drain', () => { resolve() }) })])
      }
    }
    t.ok(left > 0, 'the connection was cut')
    t.equal((await rawRequest(registry.host, 'GET', '/v2/')).status, 200)
  })
}

t.test('a manifest that says it is too large is refused before it is sent (R-017, R-178)', async t => {
  const connection = await opened(t, await started(t))
  connection.send(head('PUT', '/v2/team/app/manifests/1.0', { 'content-length': 4 * 1024 * 1024 + 1 }))
  t.same(codes(t, await connection.answer(), 413), ['MANIFEST_INVALID'])
})

t.test('a client that reads only after it has sent all of a body that was refused still gets its answer (R-017)', async t => {
  const registry = await started(t)
  const connection = await opened(t, registry)
  connection.socket.pause()
  const size = 3 * 1024 * 1024
  connection.send(head('PUT', '/v2/nowhere', { 'content-length': size }))
  await new Promise<void>(resolve => { connection.socket.write('x'.repeat(size), () => { resolve() }) })
  connection.socket.resume()
  t.same(codes(t, await connection.answer(), 404), ['NAME_INVALID'])
  connection.send(head('GET', '/v2/'))
  t.equal((await connection.answer()).status, 200)
})
