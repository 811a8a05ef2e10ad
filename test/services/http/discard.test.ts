import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { discard } from '../../../services/http/discard.js'
import { receive } from '../../../services/http/receive.js'

const BODY = Buffer.alloc(300 * 1024, 'body ')
const NEVER = new AbortController().signal

/** Sends a body to a server and gives the chunks that `handler` got of it. */
async function chunksOf (t: Test, handler: (request: IncomingMessage) => Promise<Buffer[]>): Promise<Buffer[]> {
  let chunks: Buffer[] = []
  const server = createServer((request, response) => {
    void handler(request).then(got => {
      chunks = got
      response.end()
    })
  })
  t.teardown(() => { server.close() })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const request = httpRequest({ port: (server.address() as AddressInfo).port, method: 'PUT', agent: false })
  request.end(BODY)
  const [response] = await once(request, 'response') as [IncomingMessage]
  await once(response.resume(), 'end')
  return chunks
}

/** Receives a body, and discards each batch when it was looked at. */
async function receiveAndDiscard (source: IncomingMessage): Promise<Buffer[]> {
  const all: Buffer[] = []
  let bytes = 0
  await receive(source, {
    signal: NEVER,
    sink: async chunks => {
      bytes += chunks.reduce((sum, { length }) => sum + length, 0)
      discard(source, chunks)
      all.push(...chunks)
    }
  })
  if (bytes !== BODY.length) throw new Error(`${bytes} bytes came`)
  return all
}

t.test('the memory of what came over a connection is free at once', async t => {
  const chunks = await chunksOf(t, receiveAndDiscard)
  t.ok(chunks.length > 0)
  t.ok(chunks.every(({ length, buffer }) => length === 0 && buffer.byteLength === 0))
})

t.test('chunks that somebody else listens to as well are left alone', async t => {
  const theirs: Buffer[] = []
  const ours = await chunksOf(t, async request => {
    request.on('data', (chunk: Buffer) => { theirs.push(chunk) })
    return await receiveAndDiscard(request)
  })
  t.ok(Buffer.concat(theirs).equals(BODY))
  t.ok(Buffer.concat(ours).equals(BODY))
})

t.test('chunks of a stream that is no request are left alone: their memory may be used for something else', async t => {
  const source = new PassThrough().on('data', () => {})
  const chunk = Buffer.alloc(10, 'x')
  discard(source, [chunk])
  t.equal(chunk.length, 10)
})

t.test('a part of something larger is left alone, and so is memory that threads share', async t => {
  const whole = Buffer.alloc(100, 'x')
  const shared = Buffer.from(new SharedArrayBuffer(10))
  await chunksOf(t, async request => {
    request.on('data', () => {})
    discard(request, [whole.subarray(0, 50), whole.subarray(50), shared, Buffer.alloc(0)])
    await once(request, 'end')
    return []
  })
  t.equal(whole.length, 100)
  t.equal(shared.length, 10)
})

t.test('the payload of an injected request is left alone', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.addContentTypeParser('*', (_request, _payload, done) => { done(null) })
  app.put('/', async ({ raw }) => { await receiveAndDiscard(raw) })
  const payload = Buffer.from(BODY)
  t.equal((await app.inject({ method: 'PUT', url: '/', payload, headers: { 'content-type': 'application/octet-stream' } })).statusCode, 200)
  t.ok(payload.equals(BODY))
})
