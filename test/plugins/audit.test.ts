import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import type { RegistryOptions } from '../../registry.js'
import { buildServer } from '../../server.js'
import { OciError } from '../../services/errors/oci-error.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { basic, htpasswd, htpasswdFile } from '../helpers/auth.js'
import { CapturedLog } from '../helpers/captured-log.js'
import { FaultDriver } from '../helpers/fault-driver.js'
import { blob, image, sha256 } from '../helpers/images.js'
import { RawConnection } from '../helpers/raw-http.js'

const PASSWORD = 'correct-horse-battery'
const ANN = basic('ann', PASSWORD)
const BOB = basic('bob', 'staple-of-bob')
const content = blob('audited')

async function audited (t: Test, options: RegistryOptions = {}): Promise<{ app: FastifyInstance, log: CapturedLog, driver: FaultDriver, path: string }> {
  const log = new CapturedLog()
  const driver = new FaultDriver(new MemoryDriver())
  const path = await htpasswdFile(t, { ann: PASSWORD, bob: 'staple-of-bob' })
  const access = [{ repositories: ['**'], actions: ['*' as const], users: ['ann'] }, { repositories: ['public/**'], actions: ['pull' as const], anonymous: true }]
  const auth = options.accessController === undefined ? { auth: { htpasswd: { realm: 'Test', path, access, throttle: { free: 1000 } } } } : {}
  const app = buildServer({ logger: log.logger, storage: { inmemory: {}, delete: { enabled: true } }, http: { relativeurls: true }, ...auth, ...options, instances: { driver } })
  t.teardown(async () => { await app.close() })
  await app.ready()
  return { app, log, driver, path }
}

const as = (authorization: string): { headers: Record<string, string> } => ({ headers: { authorization } })

t.test('every write is told: who, what, where, which content, with what outcome, from which address', async t => {
  const { app, log } = await audited(t)
  const manifest = image('audited')
  const send = async (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, payload?: Buffer, type?: string): Promise<string> => {
    const { headers: { location = '' } } = await app.inject({ method, url, remoteAddress: '203.0.113.9', headers: { authorization: ANN, ...(type === undefined ? {} : { 'content-type': type }) }, ...(payload === undefined ? {} : { payload }) })
    return location
  }
  for (const { digest, bytes } of manifest.blobs) await send('POST', `/v2/a/b/blobs/uploads/?digest=${digest}`, bytes)
  log.text = ''
  const started = await send('POST', '/v2/a/b/blobs/uploads/')
  const continued = await send('PATCH', started, content.bytes)
  await send('PUT', `${continued}?digest=${content.digest}`)
  await send('DELETE', await send('POST', '/v2/a/b/blobs/uploads/'))
  await send('POST', `/v2/c/d/blobs/uploads/?mount=${content.digest}&from=a/b`)
  await send('PUT', '/v2/a/b/manifests/1.0', manifest.bytes, manifest.mediaType)
  await send('DELETE', '/v2/a/b/manifests/1.0')
  await send('DELETE', `/v2/a/b/blobs/${content.digest}`)
  await send('DELETE', `/v2/a/b/blobs/${sha256('absent')}`)
  const session = started.split('/').at(-1)
  const told = { user: 'ann', repository: 'a/b', remote: '203.0.113.9', result: 'done' }
  t.match(log.audit, [
    { ...told, action: 'push', resource: 'upload', method: 'POST', status: 202 },
    { ...told, action: 'push', resource: 'upload-session', reference: session, method: 'PATCH', status: 202 },
    { ...told, action: 'push', resource: 'upload-session', digest: content.digest, method: 'PUT', status: 201 },
    { ...told, action: 'push', resource: 'upload' },
    { ...told, action: 'cancel', resource: 'upload-session', method: 'DELETE', status: 204 },
    { ...told, action: 'mount', repository: 'c/d', from: 'a/b', digest: content.digest, status: 201 },
    { ...told, action: 'push', resource: 'manifest', reference: '1.0', digest: manifest.digest, status: 201 },
    { ...told, action: 'delete', resource: 'manifest', reference: '1.0', status: 202 },
    { ...told, action: 'delete', resource: 'blob', reference: content.digest, status: 202 },
    { ...told, action: 'delete', resource: 'blob', reference: sha256('absent'), result: 'failed', status: 404 }
  ])
  for (const [i, { audit, 'http.request.id': id, level, 'auth.user.name': user }] of log.lines.filter(({ msg }) => msg === 'audit').entries()) {
    t.match({ id, level, user }, { id: (audit as { request: string }).request, level: 30, user: 'ann' }, `line ${i}`)
  }
  t.equal(new Set(log.audit.map(({ request }) => request)).size, log.audit.length)
})

t.test('every refusal is told, and whether it was for want of credentials, wrong ones or a right', async t => {
  const { app, log } = await audited(t)
  await app.inject('/v2/')
  await app.inject('/v2/secret/app/manifests/1.0')
  await app.inject({ url: '/v2/', ...as(basic('ann', 'wrong')) })
  await app.inject({ method: 'HEAD', url: '/v2/secret/app/manifests/1.0', ...as(BOB) })
  await app.inject({ method: 'PUT', url: '/v2/secret/app/manifests/1.0', ...as(BOB), payload: 'x' })
  await app.inject({ method: 'POST', url: '/v2/secret/app/blobs/uploads/', ...as('Bearer abc') })
  await app.inject({ url: '/v2/_catalog', ...as(basic(`mallory${'x'.repeat(100)}`, 'x')) })
  t.same(log.audit.map(({ request, remote, ...rest }) => rest), [
    { action: 'login', result: 'challenged', code: 'UNAUTHORIZED', resource: 'base', method: 'GET', status: 401 },
    { action: 'pull', result: 'challenged', repository: 'secret/app', reference: '1.0', code: 'UNAUTHORIZED', resource: 'manifest', method: 'GET', status: 401 },
    { action: 'login', result: 'refused', claimed: 'ann', code: 'UNAUTHORIZED', resource: 'base', method: 'GET', status: 401 },
    { action: 'pull', result: 'refused', user: 'bob', repository: 'secret/app', reference: '1.0', code: 'DENIED', resource: 'manifest', method: 'HEAD', status: 403 },
    { action: 'push', result: 'refused', user: 'bob', repository: 'secret/app', reference: '1.0', code: 'DENIED', resource: 'manifest', method: 'PUT', status: 403 },
    { action: 'push', result: 'refused', repository: 'secret/app', code: 'UNAUTHORIZED', resource: 'upload', method: 'POST', status: 401 },
    { action: 'catalog', result: 'refused', claimed: `mallory${'x'.repeat(57)}`, code: 'UNAUTHORIZED', resource: 'catalog', method: 'GET', status: 401 }
  ])
})

t.test('what is read and let in is not told, nor what is missing or no request of the API', async t => {
  const { app, log } = await audited(t)
  for (const url of ['/v2/', '/v2/_catalog', '/v2/a/b/tags/list', '/v2/a/b/manifests/1.0', '/v2/nowhere', '/elsewhere']) await app.inject({ url, ...as(ANN) })
  await app.inject({ method: 'POST', url: '/v2/nowhere', ...as(ANN) })
  t.same(log.audit, [])
})

t.test('the user\'s name is in every line about a request it was let in for, and in none before', async t => {
  const { app, log } = await audited(t)
  await app.inject({ url: '/v2/a/b/tags/list', ...as(ANN) })
  await app.inject({ url: '/v2/public/b/tags/list' })
  await app.inject({ url: '/v2/', ...as(basic('ann', 'wrong')) })
  await app.inject({ url: '/v2/a/b/tags/list', ...as(BOB) })
  t.same(log.lines.filter(({ msg }) => String(msg).startsWith('response completed')).map(line => line['auth.user.name']), ['ann', undefined, undefined, 'bob'])
})

t.test('an open registry takes the name a client gives, as docker\'s does', async t => {
  const log = new CapturedLog()
  const app = buildServer({ logger: log.logger, storage: { inmemory: {} } })
  t.teardown(async () => { await app.close() })
  await app.inject({ method: 'POST', url: `/v2/a/b/blobs/uploads/?digest=${content.digest}`, payload: content.bytes, ...as(ANN) })
  await app.inject({ method: 'POST', url: `/v2/a/b/blobs/uploads/?digest=${content.digest}`, payload: content.bytes })
  t.match(log.audit, [{ user: 'ann', result: 'done' }, { user: undefined, result: 'done' }])
})

t.test('a write that was done is told also when its client is gone before it hears of it', async t => {
  const { app, log, driver } = await audited(t)
  const manifest = image('audited')
  for (const { digest, bytes } of manifest.blobs) await app.inject({ method: 'POST', url: `/v2/a/b/blobs/uploads/?digest=${digest}`, payload: bytes, ...as(ANN) })
  log.text = ''
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const accepted = once(app.server, 'connection') as Promise<[Socket]>
  const connection = await RawConnection.open(`127.0.0.1:${port}`)
  const [socket] = await accepted
  driver.before = async ({ operation, path }) => {
    if (operation !== 'write' || !path.includes('/tags/') || socket.destroyed) return
    const closed = once(socket, 'close')
    connection.socket.destroy()
    await closed
  }
  connection.send(`PUT /v2/a/b/manifests/1.0 HTTP/1.1\r\nhost: x\r\nauthorization: ${ANN}\r\ncontent-type: ${manifest.mediaType}\r\ncontent-length: ${manifest.size}\r\n\r\n${manifest.bytes.toString()}`)
  await log.logged('audit')
  t.ok(socket.destroyed)
  t.match(log.audit, [{ user: 'ann', action: 'push', repository: 'a/b', reference: '1.0', digest: manifest.digest, result: 'done', remote: '127.0.0.1' }])
})

for (const [always, told] of [[false, 0], [true, 1]] as const) {
  t.test(`where a log is for warnings, the audit is ${always ? 'in it if it always is' : 'not in it'}`, async t => {
    const log = new CapturedLog()
    log.logger.level = 'warn'
    const app = Fastify({ loggerInstance: log.logger })
    t.teardown(async () => { await app.close() })
    await app.register(registry, { storage: { inmemory: {} }, log: { audit: { always } } })
    await app.inject({ method: 'POST', url: '/v2/a/b/blobs/uploads/' })
    t.equal(log.audit.length, told)
    t.equal(log.lines.length, told, 'nothing else is')
  })
}

t.test('a refusal of the host\'s own controller is told with what the host said', async t => {
  const { app, log } = await audited(t, { accessController: () => { throw new OciError('DENIED', { detail: 'the licence has run out' }) } })
  const response = await app.inject({ url: '/v2/a/b/tags/list', ...as('Session abc') })
  t.match(response.json(), { errors: [{ code: 'DENIED', detail: 'the licence has run out' }] })
  t.match(log.audit, [{ action: 'pull', result: 'refused', code: 'DENIED', repository: 'a/b' }])
})

t.test('no password, no token and no Authorization header reaches the log, at any level, also when all goes wrong', async t => {
  const { app, log, driver, path } = await audited(t)
  const secrets = [PASSWORD, 'staple-of-bob', 'token-of-somebody', 'wrong-password', ANN.slice(6), BOB.slice(6), basic('ann', 'wrong-password').slice(6), '$2y$']
  const all = async (): Promise<number[]> => {
    const statuses: number[] = []
    for (const authorization of [ANN, BOB, basic('ann', 'wrong-password'), basic('nobody', 'wrong-password'), 'Bearer token-of-somebody', 'Basic token-of-somebody', 'token-of-somebody']) {
      for (const [method, url] of [['GET', '/v2/'], ['GET', '/v2/_catalog'], ['GET', '/v2/a/b/manifests/1'], ['PUT', '/v2/a/b/manifests/1'], ['POST', '/v2/a/b/blobs/uploads/'], ['DELETE', '/v2/a/b/manifests/1'], ['GET', '/v2/UPPER/tags/list'], ['GET', '/v2/%zz'], ['POST', '/elsewhere']] as const) {
        statuses.push((await app.inject({ method, url, ...as(authorization), ...(method === 'GET' ? {} : { payload: '{"not":"a manifest"}' }) })).statusCode)
      }
    }
    return statuses
  }
  await all()
  driver.before = () => { throw new Error('disk is gone') }
  t.ok((await all()).includes(500))
  driver.before = () => {}
  await rm(path)
  t.ok((await all()).includes(503))
  await writeFile(path, `${htpasswd({ ann: PASSWORD })}${PASSWORD}\n`)
  await all()
  t.ok(log.lines.length > 200, `${log.lines.length} lines`)
  for (const secret of secrets) t.notOk(log.text.includes(secret), secret.slice(0, 12))
  t.match(log.text, 'users cannot be looked up')
})
