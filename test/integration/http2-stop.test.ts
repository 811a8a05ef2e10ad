import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { buildServer } from '../../server.js'
import { MemoryDriver } from '../../services/storage/memory.js'
import { NGHTTP2_NO_ERROR, answerOf, ask, begin, openSession } from '../helpers/http2.js'
import type { Http2Answer } from '../helpers/http2.js'
import { blob } from '../helpers/images.js'
import { RawConnection } from '../helpers/raw-http.js'
import { watchWrites } from '../helpers/storages.js'

const content = blob('0123456789')
const PUSH = `/v2/team/app/blobs/uploads/?digest=${content.digest}`

interface Serving { readonly app: FastifyInstance, readonly host: string, readonly session: ClientHttp2Session, readonly written: Promise<void> }

async function serving (t: Test): Promise<Serving> {
  const { driver, written } = watchWrites(new MemoryDriver())
  const app = buildServer({ instances: { driver }, http: { h2c: { enabled: true } } })
  t.teardown(async () => {
    app.server.closeAllConnections()
    await app.close()
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const host = `127.0.0.1:${(app.server.address() as AddressInfo).port}`
  return { app, host, session: await openSession(t, `http://${host}`), written }
}

/** An upload of which the server has the first bytes. */
async function uploading ({ session, written }: Serving): Promise<{ stream: ClientHttp2Stream, answer: Promise<Http2Answer> }> {
  const stream = begin(session, 'POST', PUSH, { 'content-length': 10 })
  const answer = answerOf(stream)
  stream.write('0123')
  await written
  return { stream, answer }
}

t.test('a stop ends sessions on which nothing goes on, and connections on which nothing was said', async t => {
  const { app, host, session } = await serving(t)
  t.equal((await ask(session, 'GET', '/v2/')).status, 200)
  const silent = await RawConnection.open(host)
  const half = await RawConnection.open(host)
  half.send('PRI * HT')
  const idle = await RawConnection.open(host)
  idle.send('GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n')
  t.equal((await idle.answer()).status, 200)
  const goaway = once(session, 'goaway')
  const gone = Promise.all([silent, half, idle].map(async ({ socket }) => { await new Promise(resolve => { socket.once('close', resolve) }) }))
  await app.close()
  t.equal((await goaway)[0], NGHTTP2_NO_ERROR)
  await gone
})

t.test('a stop waits for what is under way: the upload is finished, and nothing new is taken', async t => {
  const server = await serving(t)
  const { app, session } = server
  const { stream, answer } = await uploading(server)
  let isOver = false
  const goaway = once(session, 'goaway')
  const stopped = app.close().then(() => { isOver = true })
  await goaway
  await t.rejects(ask(session, 'GET', '/v2/'), /GOAWAY|closed|no answer/)
  t.equal(isOver, false)
  stream.end('456789')
  const { status, headers } = await answer
  t.equal(status, 201)
  t.notOk('connection' in headers)
  await stopped
})

t.test('what is still under way when all connections are cut ends with them', async t => {
  const server = await serving(t)
  const { app } = server
  const { answer } = await uploading(server)
  const stopped = app.close()
  app.server.closeAllConnections()
  await t.rejects(answer, /no answer/)
  await stopped
})
