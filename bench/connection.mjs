import { once } from 'node:events'
import { connect } from 'node:net'

const HEADERS_END = '\r\n\r\n'

/**
 * A keep-alive connection that sends the same request again and again. Written on a bare socket, because clients do
 * more: undici, for one, opens a new connection after every HEAD, and it costs more CPU than a fast server.
 */
export class Connection {
  #socket
  #request
  #isHead
  #pending
  #received = Buffer.alloc(0)
  #status = 0
  // Bytes of the body that are still to come; undefined while the headers are.
  #left
  #length = 0

  static async open (url, { method, path, accept }) {
    const { hostname, port, host } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) || 80, noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket, method, `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\naccept: ${accept}\r\n\r\n`)
  }

  constructor (socket, method, request) {
    this.#socket = socket
    this.#request = request
    this.#isHead = method === 'HEAD'
    socket.on('data', chunk => { this.#take(chunk) })
    socket.on('error', error => { this.#pending?.(error) })
    socket.on('close', () => { this.#pending?.(new Error('the server closed the connection')) })
  }

  /** Calls back with an error, or with the status and the length of the body when the answer is complete. */
  send (callback) {
    this.#pending = callback
    this.#socket.write(this.#request)
  }

  close () {
    this.#pending = undefined
    this.#socket.destroy()
  }

  #take (chunk) {
    if (this.#left === undefined) {
      const all = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
      const end = all.indexOf(HEADERS_END)
      if (end === -1) {
        this.#received = all
        return
      }
      const headers = all.latin1Slice(0, end)
      const length = /\r\ncontent-length: *(\d+)/i.exec(headers)?.[1]
      if (length === undefined) return this.#answer(new Error(`an answer without Content-Length: ${headers}`))
      this.#status = Number(headers.slice(9, 12))
      this.#length = this.#isHead ? 0 : Number(length)
      this.#left = this.#length - (all.length - end - HEADERS_END.length)
    } else {
      this.#left -= chunk.length
    }
    if (this.#left === 0) this.#answer(null)
    else if (this.#left < 0) this.#answer(new Error('more bytes than Content-Length says'))
  }

  #answer (error) {
    this.#received = Buffer.alloc(0)
    this.#left = undefined
    const callback = this.#pending
    this.#pending = undefined
    callback?.(error, this.#status, this.#length)
  }
}
