import { getEventListeners, once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { OciError } from '../../../services/errors/oci-error.js'
import { drain } from '../../../services/http/drain.js'
import { readLimited } from '../../../services/http/read-limited.js'
import { ClientAborted, receive } from '../../../services/http/receive.js'
import { RawConnection } from '../../helpers/raw-http.js'

const NEVER = new AbortController().signal
const KiB = 1024

/** A source of what is pushed into it. */
function pushable (): Readable {
  return new Readable({ read () {} })
}

function sinkInto (batches: Buffer[][]): (chunks: Buffer[]) => Promise<void> {
  return async chunks => { batches.push(chunks) }
}

const textOf = (batches: Buffer[][]): string => Buffer.concat(batches.flat()).toString()
const errorOf = (operation: Promise<unknown>): Promise<unknown> => operation.then(() => undefined, (error: unknown) => error)

interface Gate { readonly passed: Promise<void>, readonly open: () => void }
function gate (): Gate {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => { open = resolve })
  return { passed, open }
}

/** A server on the loopback interface, gone with the test. Gives `127.0.0.1:port`. */
async function serve (t: Test, handler: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<string> {
  const server = createServer((request, response) => { void handler(request, response) })
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function open (t: Test, host: string): Promise<RawConnection> {
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  return connection
}

const post = (host: string, length: number): string => `POST / HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${length}\r\n\r\n`

t.test('receive hands over all bytes in order and resolves at the end', async t => {
  const source = new PassThrough()
  const batches: Buffer[][] = []
  const received = receive(source, { sink: sinkInto(batches), signal: NEVER })
  for (const part of ['one,', 'two,', 'three']) source.write(part)
  source.end()
  await received
  t.equal(textOf(batches), 'one,two,three')
})

t.test('receive of an empty body never calls the sink, also when the end has been read before', async t => {
  const batches: Buffer[][] = []
  const source = Readable.from([])
  await receive(source, { sink: sinkInto(batches), signal: NEVER })
  t.equal(source.readableEnded, true)
  await receive(source, { sink: sinkInto(batches), signal: NEVER })
  t.same(batches, [])
})

t.test('receive gives at most 256 chunks in one batch to a client that sends a byte at a time', async t => {
  const source = pushable()
  for (let i = 0; i < 100_000; i++) source.push(Buffer.from([i % 251]))
  source.push(null)
  const sizes: number[] = []
  const bytes: Buffer[] = []
  await receive(source, {
    signal: NEVER,
    sink: async chunks => {
      sizes.push(chunks.length)
      bytes.push(...chunks)
      await turn()
    }
  })
  t.ok(sizes.length > 1 && Math.max(...sizes) <= 256, `largest of ${sizes.length} batches: ${Math.max(...sizes)}`)
  t.ok(Buffer.concat(bytes).equals(Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251))))
})

t.test('receive gives a batch no more chunks once it has 512 KiB', async t => {
  const source = pushable()
  for (let i = 0; i < 100; i++) source.push(Buffer.alloc(64 * KiB, i))
  source.push(null)
  const sizes: number[] = []
  await receive(source, {
    signal: NEVER,
    sink: async chunks => {
      sizes.push(chunks.reduce((sum, { length }) => sum + length, 0))
      await turn()
    }
  })
  t.equal(sizes.reduce((sum, size) => sum + size, 0), 6400 * KiB)
  t.equal(Math.max(...sizes), 512 * KiB)
})

t.test('receive lets one batch gather while the sink is busy, then pauses the source until it is done', async t => {
  const source = pushable()
  for (let i = 0; i < 2000; i++) source.push('x')
  const busy = gate()
  let heard = 0
  let batches = 0
  const received = receive(source, {
    signal: NEVER,
    heard: () => { heard++ },
    sink: async () => {
      if (++batches > 1) return
      await once(source, 'pause')
      await turn()
      busy.open()
      await turn()
      t.equal(heard, 512, 'the batch in hand and the one after it')
      t.equal(source.isPaused(), true)
      t.equal(source.readableLength, 2000 - 512)
    }
  })
  await busy.passed
  t.equal(batches, 1, 'one sink at a time')
  source.push(null)
  await received
  t.equal(heard, 2000)
})

t.test('receive passes on what arrived before the source failed, then throws ClientAborted with the cause', async t => {
  const source = pushable()
  const reset = new Error('read ECONNRESET')
  const batches: Buffer[][] = []
  const busy = gate()
  const received = errorOf(receive(source, {
    signal: NEVER,
    heard: () => { if (batches.length === 1 && !source.destroyed) source.destroy(reset) },
    sink: async chunks => {
      batches.push(chunks)
      if (batches.length === 1) {
        source.push('three')
        await once(source, 'close').catch(() => {})
        busy.open()
      }
    }
  }))
  source.push('one,')
  source.push('two,')
  await busy.passed
  const error = await received
  t.equal(textOf(batches), 'one,two,three')
  t.ok(error instanceof ClientAborted)
  t.match(error, { name: 'ClientAborted', cause: reset, message: /before the body was complete/ })
})

t.test('receive of a source that closes without an end, or is destroyed already, is ClientAborted', async t => {
  const source = pushable()
  const batches: Buffer[][] = []
  const received = errorOf(receive(source, { sink: sinkInto(batches), heard: () => { source.destroy() }, signal: NEVER }))
  source.push('begun')
  t.ok(await received instanceof ClientAborted)
  t.equal(textOf(batches), 'begun')
  t.ok(await errorOf(receive(source, { sink: sinkInto(batches), signal: NEVER })) instanceof ClientAborted)
  t.equal(batches.length, 1)
})

t.test('receive from a client that cuts the connection passes on every byte it heard of', async t => {
  const result = gate()
  const all = gate()
  const batches: Buffer[][] = []
  let heard = 0
  let error: unknown
  const host = await serve(t, async request => {
    request.on('data', (chunk: Buffer) => {
      heard += chunk.length
      if (heard === 30) all.open()
    })
    error = await errorOf(receive(request, {
      signal: NEVER,
      sink: async chunks => {
        batches.push(chunks)
        // The first batch stays in hand until the client is gone.
        if (batches.length === 1) await new Promise(resolve => request.once('close', resolve))
      }
    }))
    result.open()
  })
  const client = await open(t, host)
  client.send(post(host, 1000) + 'a'.repeat(10))
  client.send('b'.repeat(20))
  await all.passed
  client.abort()
  await result.passed
  t.ok(error instanceof ClientAborted)
  t.match(error, { cause: { code: 'ECONNRESET' } })
  t.equal(textOf(batches), 'a'.repeat(10) + 'b'.repeat(20))
})

t.test('receive throws the reason of a signal that was aborted before, without touching the source', async t => {
  const source = Readable.from(['x'])
  const batches: Buffer[][] = []
  const reason = new Error('taken over')
  t.equal(await errorOf(receive(source, { sink: sinkInto(batches), signal: AbortSignal.abort(reason) })), reason)
  t.same(batches, [])
  t.equal(source.destroyed, false)
})

t.test('receive that waits for the client ends with the reason of the signal', async t => {
  const source = pushable()
  const { signal, abort } = abortable()
  const reason = { code: 'not even an error' }
  const batches: Buffer[][] = []
  const received = errorOf(receive(source, { sink: sinkInto(batches), signal }))
  await turn()
  abort(reason)
  t.equal(await received, reason)
  source.push('late')
  await turn()
  t.same(batches, [])
  t.equal(source.destroyed, false)
})

t.test('receive lets the sink finish its batch when the signal comes, and gives it no other', async t => {
  const source = pushable()
  const { signal, abort } = abortable()
  const reason = new Error('taken over')
  const batches: Buffer[][] = []
  const second = gate()
  let finished = false
  const received = errorOf(receive(source, {
    signal,
    heard: () => { if (batches.length === 1) second.open() },
    sink: async chunks => {
      batches.push(chunks)
      source.push('second')
      await second.passed
      abort(reason)
      await turn()
      finished = true
    }
  }))
  source.push('first')
  t.equal(await received, reason)
  t.equal(finished, true)
  t.equal(textOf(batches), 'first')
})

t.test('receive leaves a source whole and readable when the sink fails', async t => {
  const source = pushable()
  const failure = new Error('disk full')
  const { signal } = abortable()
  source.push('one')
  t.equal(await errorOf(receive(source, { signal, sink: async () => { throw failure } })), failure)
  t.equal(source.destroyed, false)
  t.equal(source.isPaused(), true)
  t.same(['data', 'end', 'close'].map(event => source.listenerCount(event)), [0, 0, 0])
  t.equal(getEventListeners(signal, 'abort').length, 0)
  source.push('two')
  source.push(null)
  const rest: Buffer[][] = []
  await receive(source, { signal: NEVER, sink: sinkInto(rest) })
  t.equal(textOf(rest), 'two')
})

t.test('receive leaves no listeners behind when all went well', async t => {
  const source = Readable.from(['x'])
  const { signal } = abortable()
  await receive(source, { signal, sink: async () => {} })
  t.same(['data', 'end', 'close'].map(event => source.listenerCount(event)), [0, 0, 0])
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('a source that fails after receive is over does not become an uncaught exception', async t => {
  const source = pushable()
  source.push('x')
  await errorOf(receive(source, { signal: NEVER, sink: async () => { throw new Error('disk full') } }))
  source.destroy(new Error('read ECONNRESET'))
  await new Promise(resolve => source.once('close', resolve))
  t.match(source.errored, { message: 'read ECONNRESET' })
})

const read = (body: Readable, limit: number, declared?: number): Promise<Buffer> => readLimited(body, { limit, declared })
const TOO_LARGE = { code: 'MANIFEST_INVALID', status: 413, message: 'manifest too large', detail: 'a manifest may have 10 bytes' }

t.test('readLimited reads a body up to and including the limit', async t => {
  for (const [parts, declared] of [[['12345', '67890'], 10], [['12345', '67890'], undefined], [['1', '2'], 2], [[], 0], [[], undefined]] as const) {
    t.equal(String(await read(Readable.from(parts.map(part => Buffer.from(part))), 10, declared)), parts.join(''))
  }
})

t.test('readLimited joins many batches', async t => {
  const source = pushable()
  for (let i = 0; i < 1000; i++) source.push(`${i},`)
  source.push(null)
  t.equal(String(await read(source, 10_000)), Array.from({ length: 1000 }, (_, i) => `${i},`).join(''))
})

t.test('readLimited copies what it keeps: the network reuses its buffers', async t => {
  const network = Buffer.from('content')
  const bytes = await read(Readable.from([network]), 10)
  network.fill('x')
  t.equal(String(bytes), 'content')
})

t.test('readLimited refuses a declared length above the limit before it reads anything (R-178)', async t => {
  const source = Readable.from(['1'])
  const error = await errorOf(read(source, 10, 11))
  t.ok(OciError.is(error))
  t.match(error, TOO_LARGE)
  t.equal(source.readableFlowing, null)
  t.equal(source.destroyed, false)
})

t.test('readLimited refuses a body above the limit although it never ends, whatever it declared (R-178)', async t => {
  for (const declared of [undefined, 5, 10]) {
    const source = pushable()
    source.push('12345')
    source.push('678901')
    const error = await errorOf(read(source, 10, declared))
    t.ok(OciError.is(error))
    t.match(error, TOO_LARGE)
    t.equal(source.destroyed, false, 'the answer can still be sent')
  }
})

t.test('readLimited passes on that the client went away', async t => {
  const source = pushable()
  source.push('123')
  source.destroy()
  t.ok(await errorOf(read(source, 10)) instanceof ClientAborted)
})

/** Refuses every request as soon as its body has begun. */
const refuse = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const failed = await errorOf(receive(request, { signal: NEVER, sink: async () => { throw new Error('disk full') } }))
  drain(request)
  response.statusCode = failed === undefined ? 200 : 507
  response.end('refused')
}

t.test('drain lets a refused client read the answer while it sends, and go on with the connection (R-017)', async t => {
  const host = await serve(t, refuse)
  const client = await open(t, host)
  const length = 3 * KiB * KiB
  client.send(post(host, length) + 'x')
  t.match(await client.answer(), { status: 507, body: 'refused' })
  client.send(Buffer.alloc(length - 1, 'x'))
  client.send(post(host, 0))
  t.match(await client.answer(), { status: 200 }, 'the next request on the same connection')
})

t.test('drain cuts off a client that sends more than 4 MiB after it was refused (R-017)', async t => {
  const host = await serve(t, refuse)
  const client = await open(t, host)
  const length = 32 * KiB * KiB
  client.send(post(host, length) + 'x')
  t.equal((await client.answer()).status, 507)
  client.send(Buffer.alloc(length - 1, 'x'))
  client.send(post(host, 0))
  t.match(await errorOf(client.answer()), { message: /^connection closed/ }, 'no answer to what comes after')
})

interface FakeTimer { readonly run: () => void, readonly unref: () => FakeTimer, unreffed: boolean, cleared: boolean }

/** Catches the timers of ten seconds, which is what drain gives a client. */
function tenSeconds (t: Test): FakeTimer[] {
  const timers: FakeTimer[] = []
  const { setTimeout: set, clearTimeout: clear } = globalThis
  t.intercept(globalThis, 'setTimeout', {
    value: (run: () => void, ms?: number): unknown => {
      if (ms !== 10_000) return set(run, ms)
      const timer: FakeTimer = { run, unref () { this.unreffed = true; return this }, unreffed: false, cleared: false }
      timers.push(timer)
      return timer
    }
  })
  t.intercept(globalThis, 'clearTimeout', {
    value: (timer: unknown): void => {
      const found = timers.find(candidate => candidate === timer)
      if (found === undefined) clear(timer as NodeJS.Timeout)
      else found.cleared = true
    }
  })
  return timers
}

t.test('drain cuts off a client that does not come to its end in ten seconds (R-017)', async t => {
  const timers = tenSeconds(t)
  const host = await serve(t, refuse)
  const client = await open(t, host)
  client.send(post(host, 100) + 'x')
  t.equal((await client.answer()).status, 507)
  t.match(timers, [{ unreffed: true, cleared: false }], 'and keeps no process alive for it')
  const closed = new Promise(resolve => client.socket.once('close', resolve))
  timers[0]?.run()
  await closed
  t.equal(client.socket.destroyed, true)
})

t.test('drain forgets its timer when the request comes to its end', async t => {
  const timers = tenSeconds(t)
  const closed = gate()
  const host = await serve(t, async (request, response) => {
    request.once('close', () => { closed.open() })
    await refuse(request, response)
  })
  const client = await open(t, host)
  client.send(post(host, 2) + 'x')
  t.equal((await client.answer()).status, 507)
  client.send('y')
  await closed.passed
  t.match(timers, [{ cleared: true }])
})

t.test('drain has nothing to do with a request that is complete', async t => {
  const timers = tenSeconds(t)
  const host = await serve(t, async (request, response) => {
    await receive(request, { signal: NEVER, sink: async () => {} })
    drain(request)
    response.end('all read')
  })
  const client = await open(t, host)
  client.send(post(host, 5) + 'hello')
  t.match(await client.answer(), { status: 200, body: 'all read' })
  t.equal(timers.length, 0)
})

function abortable (): { signal: AbortSignal, abort: (reason: unknown) => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: reason => { controller.abort(reason) } }
}
