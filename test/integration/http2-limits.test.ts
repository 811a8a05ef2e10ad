import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import type { ServerOptions } from '../../server.js'
import { startRegistry } from '../../testing.js'
import type { TestRegistry } from '../../testing.js'
import { answerOf, ask, begin, openSession } from '../helpers/http2.js'

async function started (t: Test, options: ServerOptions = {}): Promise<TestRegistry> {
  const registry = await startRegistry({ ...options, http: { ...options.http, h2c: { enabled: true } } })
  t.teardown(async () => { await registry.close() })
  return registry
}

t.test('a hundred requests of a session are served at once, and the client is told that it is a hundred', async t => {
  let waiting = 0
  let open = (): void => {}
  const gate = new Promise<void>(resolve => { open = resolve })
  let allHere = (): void => {}
  const hundred = new Promise<void>(resolve => { allHere = resolve })
  const authorize = async (): Promise<object> => {
    if (++waiting === 100) allHere()
    await gate
    return {}
  }
  const { url } = await started(t, { instances: { accessController: { authorize } } })
  const session = await openSession(t, url)
  if (session.remoteSettings.maxConcurrentStreams !== 100) await once(session, 'remoteSettings')
  t.equal(session.remoteSettings.maxConcurrentStreams, 100)
  const answers = Array.from({ length: 130 }, async () => (await ask(session, 'GET', '/v2/')).status)
  await hundred
  t.equal(waiting, 100, 'the others wait at the client')
  open()
  t.same(await Promise.all(answers), Array.from({ length: 130 }, () => 200))
})

t.test('an Authorization header of 32 KiB reaches the access controller, one of 100 KiB ends its session', async t => {
  let seen: string | undefined
  const { url } = await started(t, { instances: { accessController: { authorize: ({ headers: { authorization } }) => { seen = authorization; return {} } } } })
  const session = await openSession(t, url, { maxSendHeaderBlockLength: 1024 * 1024 })
  const token = `Bearer ${'x'.repeat(32 * 1024)}`
  t.equal((await ask(session, 'GET', '/v2/', { authorization: token })).status, 200)
  t.equal(seen, token)
  await t.rejects(ask(session, 'GET', '/v2/', { authorization: `Bearer ${'x'.repeat(100 * 1024)}` }), /no answer/)
  t.equal((await ask(await openSession(t, url), 'GET', '/v2/')).status, 200)
})

t.test('methods and paths that nobody has are answered like everything else', async t => {
  const session = await openSession(t, (await started(t)).url)
  for (const [method, path, status] of [['FOO', '/v2/', 404], ['GET', '/v2/%', 400], ['OPTIONS', '*', 404], ['GET', '//v2/', 404], ['GET', '/v2/a/tags/%zz', 400]] as const) {
    t.equal((await ask(session, method, path)).status, status, `${method} ${path}`)
  }
  const connect = session.request({ ':method': 'CONNECT', ':authority': 'x:1' })
  connect.on('error', () => {}).end()
  t.equal((await answerOf(connect)).status, 405)
  await t.rejects(answerOf(begin(session, 'GET', 'nowhere')), /no answer/)
})

t.test('configured headers about the connection are left out, the others are not', async t => {
  const headers = { Connection: ['close'], 'Keep-Alive': ['timeout=5'], 'Transfer-Encoding': ['identity'], 'X-Other': ['yes'] }
  const session = await openSession(t, (await started(t, { http: { headers } })).url)
  for (const [method, path] of [['GET', '/v2/'], ['GET', '/v2/nowhere'], ['OPTIONS', '/v2/']] as const) {
    const answer = await ask(session, method, path)
    t.equal(answer.headers['x-other'], 'yes')
    t.notOk('connection' in answer.headers || 'keep-alive' in answer.headers || 'transfer-encoding' in answer.headers)
  }
})
