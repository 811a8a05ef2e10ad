import { once } from 'node:events'
import { connect } from 'node:net'

const HEADERS_END = '\r\n\r\n'
const LAST_CHUNK = '\r\n0\r\n\r\n'
const RECEIVE_BYTES = 256 * 1024
const COPIED_BYTES = 64 * 1024

/**
 * A keep-alive connection that sends one request after the other. Written on a bare socket, because clients do more:
 * undici, for one, opens a new connection after every HEAD, and it costs more CPU than a fast server. It receives into
 * one buffer, and looks at the head of an answer only as long as answers differ in length or status from the last one.
 */
export class Connection {
  #socket
  #isHead = false
  #pending
  /** What came of an answer whose head is not complete, or which is chunked. */
  #received = Buffer.alloc(0)
  /** Bytes that are still to come; undefined until the head is complete, or when only the last chunk tells. */
  #left
  #isChunked = false
  #answer = { status: 0, length: 0, head: '' }
  /** The first bytes and the length of the last answer that came in one piece. */
  #usual = { statusLine: Buffer.alloc(0), bytes: -1 }

  static async open (url) {
    const { hostname, port } = new URL(url)
    const connection = new Connection()
    const onread = {
      buffer: Buffer.allocUnsafeSlow(RECEIVE_BYTES),
      callback: (bytes, buffer) => {
        connection.#take(buffer.subarray(0, bytes))
        return true
      }
    }
    const socket = connect({ host: hostname, port: Number(port) || 80, noDelay: true, onread })
    await once(socket, 'connect')
    connection.#listen(socket)
    return connection
  }

  #listen (socket) {
    this.#socket = socket
    socket.on('error', error => { this.#end(error) })
    socket.on('close', () => { this.#end(new Error('the server closed the connection')) })
  }

  /** Calls back with an error, or with the status, the length of the body and the head when the answer is complete. */
  send (isHead, request, callback) {
    if (isHead !== this.#isHead) this.#usual.bytes = -1
    this.#isHead = isHead
    this.#pending = callback
    this.#socket.write(request)
  }

  /** The same as a promise, with what is left of the request when it is large. */
  request (method, [request, ...rest]) {
    return new Promise((resolve, reject) => {
      this.send(method === 'HEAD', request, (error, status, length, head) => {
        if (error === null) resolve({ status, length, head })
        else reject(error)
      })
      for (const bytes of rest) this.#socket.write(bytes)
    })
  }

  close () {
    this.#pending = undefined
    this.#socket.destroy()
  }

  #take (chunk) {
    if (this.#left !== undefined) return this.#count(chunk.length)
    const { statusLine, bytes } = this.#usual
    if (chunk.length === bytes && this.#received.length === 0 && chunk.compare(statusLine, 0, statusLine.length, 0, statusLine.length) === 0) {
      return this.#end(null)
    }
    const all = Buffer.concat([this.#received, chunk])
    if (this.#isChunked) return this.#untilLastChunk(all)
    const end = all.indexOf(HEADERS_END)
    this.#received = all
    if (end === -1) return
    const head = all.latin1Slice(0, end)
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    this.#answer = { status: Number(head.slice(9, 12)), length: this.#isHead ? 0 : length, head }
    this.#usual = { statusLine: Buffer.from(all.subarray(0, 12)), bytes: -1 }
    this.#isChunked = !this.#isHead && /\r\ntransfer-encoding: *chunked/i.test(head)
    if (this.#isChunked) return this.#untilLastChunk(all)
    const whole = end + HEADERS_END.length + this.#answer.length
    if (all.length === chunk.length && all.length === whole) this.#usual.bytes = whole
    this.#left = whole
    this.#count(all.length)
  }

  #count (bytes) {
    this.#left -= bytes
    if (this.#left === 0) this.#end(null)
    else if (this.#left < 0) this.#end(new Error('more bytes than Content-Length says'))
  }

  #untilLastChunk (all) {
    this.#received = all
    if (!all.subarray(-LAST_CHUNK.length).equals(Buffer.from(LAST_CHUNK))) return
    this.#answer.length = all.length - all.indexOf(HEADERS_END) - HEADERS_END.length
    this.#end(null)
  }

  #end (error) {
    if (this.#received.length > 0) this.#received = Buffer.alloc(0)
    this.#left = undefined
    this.#isChunked = false
    const callback = this.#pending
    this.#pending = undefined
    callback?.(error, this.#answer.status, this.#answer.length, this.#answer.head)
  }
}

/** A request as it goes over the wire, in two parts when the body is large. */
export function requestBytes (url, method, path, { headers = {}, body } = {}) {
  const lines = Object.entries({ host: new URL(url).host, ...headers, ...(body === undefined ? {} : { 'content-length': body.length }) })
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
  if (body === undefined || body.length === 0) return [head]
  return body.length > COPIED_BYTES ? [head, body] : [Buffer.concat([head, body])]
}
