import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { peekProtocol } from '../../../services/http/preface.js'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

interface Peeked { readonly isHttp2: boolean, readonly first: string }

/** A client, its connection at the server, and what was decided about it. */
async function pair (t: Test, timeoutMs = 60_000): Promise<{ client: Socket, server: Socket, peeked: Promise<Peeked> }> {
  const listener = createServer({ allowHalfOpen: true, noDelay: true })
  t.teardown(() => { listener.close() })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true }).on('error', () => {})
  const [server] = await once(listener, 'connection') as [Socket]
  t.teardown(() => { for (const socket of [client, server]) socket.destroy() })
  const peeked = new Promise<Peeked>(resolve => {
    peekProtocol(server, {
      timeoutMs,
      decided: isHttp2 => {
        // Whoever takes the connection finds it as if nobody had looked.
        server.once('data', (chunk: Buffer) => { resolve({ isHttp2, first: chunk.toString('latin1') }) })
      }
    })
  })
  return { client, server, peeked }
}

const GREETINGS: Array<[string, boolean]> = [
  [PREFACE, true],
  [`${PREFACE}\0\0\0\x04`, true],
  ['GET /v2/ HTTP/1.1\r\n', false],
  ['\r\nGET / HTTP/1.0\r\n\r\n', false],
  ['PUT / HTTP/1.1\r\n', false],
  ['PROPFIND / HTTP/1.1\r\n', false],
  ['PRI * HTTP/1.1\r\n', false],
  [`${PREFACE.slice(0, -1)}x`, false],
  ['\x16\x03\x01', false]
]

for (const [greeting, isHttp2] of GREETINGS) {
  t.test(`${JSON.stringify(greeting)} is ${isHttp2 ? '' : 'not '}HTTP/2`, async t => {
    const { client, peeked } = await pair(t)
    client.write(Buffer.from(greeting, 'latin1'))
    t.same(await peeked, { isHttp2, first: greeting })
  })
}

t.test('the first bytes may come one by one', async t => {
  for (const [greeting, isHttp2] of [[PREFACE, true], ['PRI * HTTP/3', false]] as const) {
    const { client, server, peeked } = await pair(t)
    for (const byte of greeting) {
      const isRead = once(server, 'readable')
      client.write(byte)
      await isRead
    }
    t.same(await peeked, { isHttp2, first: greeting })
  }
})

t.test('a client that says nothing, or not enough, is cut off after a while', async t => {
  for (const greeting of ['', 'PRI * HT']) {
    const { client, server } = await pair(t, 50)
    if (greeting !== '') client.write(greeting)
    await once(server, 'close')
    t.equal(server.destroyed, true)
  }
})

t.test('a client that goes away before it has said enough is forgotten', async t => {
  for (const leave of [(client: Socket) => { client.end('PR') }, (client: Socket) => { client.resetAndDestroy() }]) {
    const { client, server } = await pair(t)
    const closed = new Promise(resolve => { server.once('close', resolve) })
    leave(client)
    await t.resolves(closed)
  }
})
