import type { EventEmitter } from 'node:events'
import { createServer } from 'node:http2'
import type { Http2Server, Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'

export interface Http2Options {
  /** A session on which nothing moved for so long is ended. */
  readonly idleMs: number
  readonly maxHeaderBytes: number
}

/** RFC 9113 wants no fewer than 100. A pull has two buffers of 256 KiB, a push at most its window. */
const MAX_STREAMS = 100
/** What a client may send of one body before it is read. Node's 64 KiB allow 1.3 MB/s at 50 ms, these 10 MB/s. */
const STREAM_WINDOW_BYTES = 512 * 1024
/** Of all bodies of a session together. Node opens it again as soon as the bytes are here, read or not. */
const SESSION_WINDOW_BYTES = 4 * 1024 * 1024
/** In megabytes: room for what all streams may have under way. Beyond it new streams are refused. */
const MAX_SESSION_MEMORY = 64

interface Held {
  readonly socket: Socket
  /** Requests that have no complete answer yet. */
  open: number
  isOver: boolean
}

/**
 * HTTP/2 beside HTTP/1: whatever comes over its sessions is given to the HTTP/1 server as a request like any other.
 * Against floods of resets, settings, pings and CONTINUATION frames stand the limits of Node and nghttp2: what goes
 * beyond them is not read any more, and its session ends when it has been idle long enough.
 */
export class Http2Sessions {
  readonly #server: Http2Server
  readonly #sessions = new Map<ServerHttp2Session, Held>()
  #isEnding = false

  constructor (http1: EventEmitter, { idleMs, maxHeaderBytes }: Http2Options) {
    this.#server = createServer({
      maxSessionMemory: MAX_SESSION_MEMORY,
      settings: { maxConcurrentStreams: MAX_STREAMS, initialWindowSize: STREAM_WINDOW_BYTES, maxHeaderListSize: maxHeaderBytes }
    })
    for (const event of ['request', 'checkContinue'] as const) {
      this.#server.on(event, (request, response) => {
        this.#count(response)
        http1.emit(event, request, response)
      })
    }
    this.#server.on('session', session => {
      session.setLocalWindowSize(SESSION_WINDOW_BYTES)
      session.setTimeout(idleMs, () => { session.close() })
      // Not at once: Node hands over what was peeked at in the next tick, and needs the session for it.
      if (this.#isEnding) setImmediate(() => { session.close() })
    })
    const sweep = setInterval(() => { this.#sweep() }, idleMs / 4).unref()
    http1.once('close', () => { clearInterval(sweep) })
  }

  /** Takes a connection whose client speaks HTTP/2. */
  serve (socket: Socket): void {
    if (socket.destroyed) return
    // A client that hangs up does not wait for answers.
    socket.allowHalfOpen = false
    // The session has sent all it had to: nobody waits for the client to hang up too.
    socket.once('finish', () => { socket.destroy() })
    this.#server.once('session', session => {
      this.#sessions.set(session, { socket, open: 0, isOver: false })
      session.once('close', () => { this.#sessions.delete(session) })
    })
    this.#server.emit('connection', socket)
  }

  /** Asks all clients to send nothing more (GOAWAY). A session ends with the last answer it owes. */
  end (): void {
    this.#isEnding = true
    for (const session of this.#sessions.keys()) session.close()
  }

  #count ({ stream }: Http2ServerResponse): void {
    const held = stream.session === undefined ? undefined : this.#sessions.get(stream.session as ServerHttp2Session)
    if (held === undefined) return
    held.open++
    stream.once('close', () => { held.open-- })
  }

  /** Cuts connections whose session is over and cannot end, because the client does not read its last words. */
  #sweep (): void {
    for (const [session, held] of this.#sessions) {
      if (!session.destroyed && !(session.closed && held.open === 0)) continue
      if (held.isOver) held.socket.destroy()
      held.isOver = true
    }
  }
}
