import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import t from 'tap'
import { accessFormat } from '../../../services/log/access-line.js'
import type { ServedRequest } from '../../../services/log/access-line.js'
import { AccessLog } from '../../../services/log/access-log.js'
import { recordingLog } from '../../helpers/log.js'

const SERVED: ServedRequest = { id: '1', method: 'GET', host: 'r.example', url: '/v2/', proto: 'HTTP/1.1', headers: {}, remote: '10.0.0.1:4711', address: '10.0.0.1', resource: undefined, name: undefined, reference: undefined, trace: undefined, status: 200, contentType: undefined, written: 2, ms: 1, isAborted: false, user: 'ann' }
const combined = accessFormat('combined', {})
const numbered = (request: ServedRequest): string => `${request.id}\n`
const request = (id: number | string): ServedRequest => ({ ...SERVED, id: String(id) })

/** A stream whose writes end when the test says so. */
class Reader extends Writable {
  readonly chunks: string[] = []
  #held: Array<() => void> | undefined

  override _write (chunk: Buffer, _encoding: string, callback: () => void): void {
    this.chunks.push(chunk.toString())
    if (this.#held === undefined) callback()
    else this.#held.push(callback)
  }

  hold (): void {
    this.#held = []
  }

  letGo (): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const callback of held) callback()
  }
}

const turn = async (): Promise<void> => { await new Promise(resolve => { setImmediate(() => { setImmediate(resolve) }) }) }

t.test('combined is the line of docker\'s registry: no user, bytes of the body, empty where nothing is known', async t => {
  const time = Date.UTC(2026, 10, 24, 9, 52, 51)
  t.equal(combined(SERVED, time), '10.0.0.1 - - [24/Nov/2026:09:52:51 +0000] "GET /v2/ HTTP/1.1" 200 2 "" ""\n')
  t.equal(combined({ ...SERVED, address: undefined, url: '/v2/?token=abc', headers: { 'user-agent': 'cu"rl\u009b', referer: 'http://x/?token=abc' } }, time + 1000), '- - - [24/Nov/2026:09:52:52 +0000] "GET /v2/?token=*** HTTP/1.1" 200 2 "http://x/?token=***" "cu\\"rl\\u009b"\n')
})

t.test('as JSON it has the fields of the log', async t => {
  t.match(JSON.parse(accessFormat('json', { service: 'registry' })(SERVED, 0)), { level: 'info', msg: 'access', time: '1970-01-01T00:00:00.000Z', service: 'registry', 'http.request.uri': '/v2/', 'http.response.status': 200, 'auth.user.name': 'ann' })
  t.match(JSON.parse(accessFormat('logstash', {})(SERVED, 0)), { message: 'access', '@version': '1', 'http.request.method': 'GET' })
})

t.test('lines of one turn are one write, cut between lines at what a pipe takes in one piece', async t => {
  const stream = new Reader()
  const access = new AccessLog({ format: numbered, stream, log: recordingLog().log })
  for (let i = 0; i < 10; i++) access.add(request(i))
  t.same(stream.chunks, [])
  await turn()
  t.same(stream.chunks, ['0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n'])
  for (let i = 0; i < 5; i++) access.add(request('x'.repeat(1500)))
  await turn()
  t.same(stream.chunks.slice(1).map(chunk => chunk.length), [3002, 3002, 1501])
})

t.test('a slow reader gets every line in order, and nobody waits for it', async t => {
  const stream = new Reader()
  const access = new AccessLog({ format: numbered, stream, log: recordingLog().log })
  stream.hold()
  for (let i = 0; i < 100; i++) {
    access.add(request(i))
    if (i % 10 === 0) await turn()
  }
  t.equal(stream.chunks.length, 1, 'one write at a time')
  t.equal(await access.close(1), false, 'not all is written')
  const closing = access.close(60_000)
  stream.letGo()
  t.equal(await closing, true)
  t.equal(stream.chunks.join(''), Array.from({ length: 100 }, (_, i) => `${i}\n`).join(''))
})

t.test('what a reader does not take is kept up to a bound; what is lost is counted and said', async t => {
  const stream = new Reader()
  const { log, lines } = recordingLog()
  const access = new AccessLog({ format: numbered, stream, log, maxWaitingBytes: 1000 })
  stream.hold()
  for (let i = 0; i < 1000; i++) access.add(request('123456789'))
  await turn()
  t.same(lines, ['warn: access log: lines are lost: its reader is too slow'])
  stream.letGo()
  await access.close(60_000)
  t.equal(stream.chunks.join('').length, 1000)
  t.equal(lines.length, 2)
  access.add(request('again'))
  t.equal(await access.close(60_000), true)
  t.match(stream.chunks.at(-1), 'again\n')
})

t.test('a reader that is gone is said once, and nothing waits for it any more', async t => {
  const { log, lines } = recordingLog()
  const stream = new Writable({ write (_chunk, _encoding, callback) { callback(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })) } })
  const access = new AccessLog({ format: numbered, stream, log })
  access.add(request(1))
  await turn()
  access.add(request(2))
  t.equal(await access.close(60_000), true)
  access.flushSync(() => t.fail('nothing is written'))
  t.same(lines, ['warn: access log: nobody reads it any more (write EPIPE); nothing is written to it from now on'])
})

t.test('a full disk loses lines, says so once, and has the later ones', async t => {
  const { log, lines } = recordingLog()
  let isFull = true
  const written: string[] = []
  // As process.stdout, it goes on after an error.
  const stream = Object.assign(new EventEmitter(), {
    write (chunk: string, callback: (error?: Error | null) => void) {
      if (!isFull) written.push(chunk)
      process.nextTick(callback, isFull ? Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }) : null)
      return true
    }
  }) as unknown as Writable
  const access = new AccessLog({ format: numbered, stream, log })
  for (const id of [1, 2]) {
    access.add(request(id))
    await turn()
  }
  isFull = false
  access.add(request(3))
  t.equal(await access.close(60_000), true)
  t.same(written, ['3\n'])
  t.same(lines, ['warn: access log: lines are lost: ENOSPC: no space left on device'])
})

t.test('at the end of a process what waits is written at once, unless the reader is behind anyway', async t => {
  const stream = new Reader()
  const access = new AccessLog({ format: numbered, stream, log: recordingLog().log })
  const flushed: string[] = []
  access.add(request(1))
  access.flushSync(text => { flushed.push(text) })
  t.same(flushed, ['1\n'])
  stream.hold()
  access.add(request(2))
  await turn()
  access.add(request(3))
  access.flushSync(text => { flushed.push(text) })
  t.same(flushed, ['1\n'])
  stream.letGo()
})
