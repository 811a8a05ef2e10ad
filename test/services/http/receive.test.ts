import { getEventListeners, once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { ClientAborted, receive } from '../../../services/http/receive.js'
import { NEVER, errorOf, gate, open, post, pushable, serve } from '../../helpers/bodies.js'

const KiB = 1024

function sinkInto (batches: Buffer[][]): (chunks: Buffer[]) => Promise<void> {
  return async chunks => { batches.push(chunks) }
}

const textOf = (batches: Buffer[][]): string => Buffer.concat(batches.flat()).toString()
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

t.test('receive gives a batch no more chunks once it has 1 MiB', async t => {
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
  t.equal(Math.max(...sizes), 1024 * KiB)
})

t.test('many receptions at once get smaller batches', async t => {
  const idle = new AbortController()
  const others = Array.from({ length: 3 }, () => errorOf(receive(pushable(), { sink: async () => {}, signal: idle.signal })))
  const largest = async (): Promise<number> => {
    const source = pushable()
    for (let i = 0; i < 100; i++) source.push(Buffer.alloc(64 * KiB, i))
    source.push(null)
    let most = 0
    await receive(source, {
      signal: NEVER,
      sink: async chunks => {
        most = Math.max(most, chunks.reduce((sum, { length }) => sum + length, 0))
        await turn()
      }
    })
    return most
  }
  t.equal(await largest(), 1024 * KiB)
  others.push(errorOf(receive(pushable(), { sink: async () => {}, signal: idle.signal })))
  t.equal(await largest(), 256 * KiB)
  idle.abort()
  await Promise.all(others)
  t.equal(await largest(), 1024 * KiB)
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

function abortable (): { signal: AbortSignal, abort: (reason: unknown) => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: reason => { controller.abort(reason) } }
}
