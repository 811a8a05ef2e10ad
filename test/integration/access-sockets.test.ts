import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { startRegistry } from '../../testing.js'
import type { TestRegistry } from '../../testing.js'
import { basic, htpasswd, htpasswdFile } from '../helpers/auth.js'
import { startProduct } from '../helpers/product.js'
import { RawConnection, rawRequest } from '../helpers/raw-http.js'

const ANN = basic('ann', 'secret')
const MIB = 1024 * 1024

async function guarded (t: Test, throttle: object = {}): Promise<TestRegistry> {
  const path = await htpasswdFile(t, { ann: 'secret', bob: 'other' })
  const access = [{ repositories: ['**'], actions: ['*' as const], users: ['ann'] }]
  const registry = await startRegistry({ http: { relativeurls: true }, auth: { htpasswd: { realm: 'Test', path, access, throttle } } })
  t.teardown(async () => { await registry.close() })
  return registry
}

async function opened (t: Test, { host }: { host: string }): Promise<RawConnection> {
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  return connection
}

const head = (method: string, path: string, headers: Record<string, string | number> = {}): string =>
  `${method} ${path} HTTP/1.1\r\nhost: x\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`

const CALLERS = [['nobody', {}], ['a wrong password', { authorization: basic('ann', 'wrong') }], ['no right', { authorization: basic('bob', 'other') }]] as const

for (const [who, headers] of CALLERS) {
  const status = who === 'no right' ? 403 : 401
  t.test(`${who}: a push is refused before its body comes, and the connection serves on`, async t => {
    const registry = await guarded(t)
    const connection = await opened(t, registry)
    for (const [method, path] of [['POST', '/v2/a/blobs/uploads/'], ['PUT', '/v2/a/manifests/1.0'], ['PATCH', '/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000']] as const) {
      connection.send(head(method, path, { ...headers, 'content-length': MIB }))
      t.equal((await connection.answer()).status, status, `${method} ${path}`)
      connection.send(Buffer.alloc(MIB))
      connection.send(head('GET', '/v2/', { authorization: ANN }))
      t.equal((await connection.answer()).status, 200)
    }
  })

  t.test(`${who}: a client that asks whether to send its body is refused and never told to`, async t => {
    const connection = await opened(t, await guarded(t))
    connection.send(head('PUT', '/v2/a/manifests/1.0', { ...headers, 'content-length': 10 * MIB, expect: '100-continue' }))
    t.equal((await connection.answer()).status, status)
  })
}

t.test('a body without an end does not hold a refusal up, and is cut off', async t => {
  const connection = await opened(t, await guarded(t))
  connection.send(head('POST', '/v2/a/blobs/uploads/', { 'transfer-encoding': 'chunked' }))
  t.equal((await connection.answer()).status, 401)
  const chunk = `${MIB.toString(16)}\r\n${'x'.repeat(MIB)}\r\n`
  const closed = new Promise<void>(resolve => { connection.socket.once('close', () => { resolve() }) })
  for (let i = 0; i < 8; i++) connection.send(chunk)
  await closed
})

t.test('an escaped slash is a slash to the policy too', async t => {
  const { host } = await guarded(t)
  for (const path of ['/v2/a%2Fb/tags/list', '/v2/a%2fb/tags/list', '/v2/%61/tags/list', '/v2/x/../a/tags/list', '/v2/a%2F..%2Fb/tags/list', '/v2/a/tags%2Flist', '//v2/a/tags/list']) {
    const { status } = await rawRequest(host, 'GET', path, { authorization: basic('bob', 'other') })
    t.ok([400, 403, 404].includes(status), `${path}: ${status}`)
  }
})

t.test('several processes count failed logins together, and slow nobody else', async t => {
  const directory = t.testdir({ htpasswd: htpasswd({ ann: 'secret', bob: 'other' }) })
  const throttle = { free: 4, delay: '10m', maxdelay: '10m' }
  const product = await startProduct(t, directory, { http: { workers: '3' }, auth: { htpasswd: { realm: 'Test', path: join(directory, 'htpasswd'), throttle } } })
  const login = async (user: string, password: string) => await rawRequest(product.host, 'GET', '/v2/', { authorization: basic(user, password) })
  const statuses: number[] = []
  for (let i = 0; i < 10; i++) statuses.push((await login('ann', `wrong${i}`)).status)
  t.same(statuses, [401, 401, 401, 401, 429, 429, 429, 429, 429, 429])
  const { headers, body } = await login('ann', 'secret')
  t.equal(headers.get('retry-after'), '600')
  t.match(JSON.parse(body), { errors: [{ code: 'TOOMANYREQUESTS', detail: 'too many failed logins' }] })
  for (let i = 0; i < 6; i++) t.equal((await login('bob', 'other')).status, 200)
  await product.stop()
  const answeredBy = new Set([...product.log.matchAll(/msg="response completed.* worker=(\d+)/g)].map(([, worker]) => worker))
  t.ok(answeredBy.size > 1, 'by several processes')
  t.equal([...product.log.matchAll(/audit\.result=refused/g)].length, 11)
})
