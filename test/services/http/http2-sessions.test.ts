import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { createHttpServer } from '../../../services/http/http-server.js'
import { NGHTTP2_CANCEL, ask, openSession } from '../../helpers/http2.js'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const [HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION] = [1, 3, 4, 6, 9] as const
/** `:method GET`, `:scheme http`, `:path /` and `:authority x`, with HPACK's table. */
const GET_ROOT = Buffer.from([0x82, 0x86, 0x84, 0x01, 1, 0x78])
const DONE: RequestListener = (_request, response) => { response.end() }

/** A server whose idle sessions end soon. */
async function serve (t: Test, handler: RequestListener = DONE): Promise<number> {
  const server = createHttpServer(handler, { http2: true, keepAliveMs: 200, maxHeaderBytes: 64 * 1024 })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function frame (type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

function greet (t: Test, port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  t.teardown(() => { socket.destroy() })
  socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0)]))
  return socket
}

/** Sends pieces until the server hangs up; false if it took all of them. */
async function flood (socket: Socket, piece: (i: number) => Buffer, most: number): Promise<boolean> {
  const closed = new Promise<void>(resolve => { socket.once('close', () => { resolve() }) })
  for (let i = 0; i < most && !socket.destroyed; i++) {
    if (socket.write(piece(i))) continue
    await Promise.race([closed, new Promise<void>(resolve => { socket.once('drain', () => { resolve() }) })])
  }
  return socket.destroyed
}

const MANY_SETTINGS = frame(SETTINGS, 0, 0, Buffer.alloc(6 * 1000, Buffer.from([0, 3, 0, 0, 0, 100])))
const [NO_SETTINGS, PINGS] = [frame(SETTINGS, 0, 0), frame(PING, 0, 0, Buffer.alloc(8))].map(one => Buffer.alloc(one.length * 1000, one)) as [Buffer, Buffer]

const FLOODS: Record<string, (i: number) => Buffer> = {
  'requests that are reset at once': i => Buffer.concat(Array.from({ length: 100 }, (_, k) => 200 * i + 2 * k + 1).flatMap(id => [
    frame(HEADERS, 5, id, GET_ROOT), frame(RST_STREAM, 0, id, Buffer.from([0, 0, 0, NGHTTP2_CANCEL]))
  ])),
  'headers without an end': i => i === 0 ? frame(HEADERS, 1, 1, GET_ROOT) : Buffer.alloc(1400, frame(CONTINUATION, 0, 1, Buffer.from([0x00, 1, 0x78, 1, 0x79]))),
  'settings with too many entries': () => MANY_SETTINGS,
  'frames that are none': () => Buffer.alloc(16 * 1024, 0xff)
}

for (const [what, piece] of Object.entries(FLOODS)) {
  t.test(`a client that sends ${what} is cut off, and others are served`, async t => {
    let served = 0
    const port = await serve(t, (_request, response) => {
      served++
      response.end()
    })
    const socket = greet(t, port)
    socket.resume()
    t.ok(await flood(socket, piece, 50_000))
    t.ok(served < 10_000, `${served} requests were served`)
    t.equal((await ask(await openSession(t, `http://127.0.0.1:${port}`), 'GET', '/')).status, 200)
  })
}

for (const [what, piece] of [['settings', NO_SETTINGS], ['pings', PINGS]] as const) {
  t.test(`a client that sends ${what} and reads no answer is cut off`, async t => {
    t.ok(await flood(greet(t, await serve(t)), () => piece, 10_000))
  })
}

t.test('a session on which nothing moves is ended, one with a request under way is not', async t => {
  let finish = (): void => {}
  const port = await serve(t, (request, response) => {
    if (request.url === '/slow') finish = () => { response.end('at last') }
    else response.end()
  })
  const [idle, busy] = [await openSession(t, `http://127.0.0.1:${port}`), await openSession(t, `http://127.0.0.1:${port}`)]
  t.equal((await ask(idle, 'GET', '/')).status, 200)
  const slow = ask(busy, 'GET', '/slow')
  const told = once(busy, 'goaway')
  await once(idle, 'close')
  await told
  // Longer than it takes to cut off a session that is over.
  const other = await openSession(t, `http://127.0.0.1:${port}`)
  await once(other, 'close')
  finish()
  t.equal((await slow).body.toString(), 'at last')
})

t.test('a client that asks for much and hangs up without reading leaves nothing behind', async t => {
  const closed: Array<Promise<unknown>> = []
  let all = (): void => {}
  const asked = new Promise<void>(resolve => { all = resolve })
  const port = await serve(t, (_request, response) => {
    if (closed.push(new Promise(resolve => { response.once('close', resolve) })) === 20) all()
    response.write(Buffer.alloc(1024 * 1024))
  })
  const socket = greet(t, port)
  socket.write(Buffer.concat(Array.from({ length: 20 }, (_, i) => frame(HEADERS, 5, 2 * i + 1, GET_ROOT))))
  await asked
  socket.resetAndDestroy()
  await Promise.all(closed)
  t.equal(closed.length, 20)
})
