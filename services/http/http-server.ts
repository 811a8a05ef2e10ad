import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { holdContinue } from './expect.js'
import { Http2Sessions } from './http2-sessions.js'
import { peekProtocol } from './preface.js'
import type { ServerTls } from './tls.js'

export interface HttpServerOptions {
  /** Serves HTTPS. */
  readonly tls?: ServerTls | undefined
  /** Speaks HTTP/2 too: with TLS as ALPN decides, without as the client's first bytes do. */
  readonly http2: boolean
  readonly keepAliveMs: number
  readonly maxHeaderBytes: number
}

/** Clients that do not finish their headers in this time are cut off; bodies may take hours. */
const HEADERS_MS = 60_000

/**
 * The server below the standalone registry. HTTP/1 is Node's own server, which also listens; connections on which
 * HTTP/2 is spoken go to one beside it. `close` ends both without breaking off an answer, `closeAllConnections` cuts
 * everything, also connections on which nothing was said yet.
 */
export function createHttpServer (handler: RequestListener, { tls, http2, keepAliveMs, maxHeaderBytes }: HttpServerOptions): Server {
  const limits = { maxHeaderSize: maxHeaderBytes, keepAliveTimeout: keepAliveMs, headersTimeout: HEADERS_MS, requestTimeout: 0 }
  const server = tls === undefined
    ? createServer(limits, handler)
    : createSecureServer({ ...limits, ...tls.options, ALPNProtocols: http2 ? ['h2', 'http/1.1'] : ['http/1.1'] }, handler)
  holdContinue(server)
  if (tls === undefined && !http2) return server

  const sessions = new Http2Sessions(server, { idleMs: keepAliveMs, maxHeaderBytes })
  const silent = new Set<Socket>()
  if (tls === undefined) {
    divert(server, 'connection', (socket, serveHttp1) => {
      silent.add(socket)
      socket.once('close', () => { silent.delete(socket) })
      peekProtocol(socket, {
        timeoutMs: HEADERS_MS,
        decided: isHttp2 => {
          silent.delete(socket)
          if (isHttp2) sessions.serve(socket)
          else serveHttp1(socket)
        }
      })
    })
  } else {
    divert(server, 'secureConnection', (socket: TLSSocket, serveHttp1) => {
      if (!tls.admits(socket)) socket.destroy()
      else if (socket.alpnProtocol === 'h2') sessions.serve(socket)
      else serveHttp1(socket)
    })
  }
  closeToo(server, { sessions, silent })
  return server
}

/** Decides about each new connection in the place of Node's own listener. */
function divert<T extends Socket> (server: Server, event: string, decide: (socket: T, serveHttp1: (socket: T) => void) => void): void {
  const listeners = server.listeners(event)
  server.removeAllListeners(event)
  const serveHttp1 = (socket: T): void => {
    for (const listener of listeners) Reflect.apply(listener, server, [socket])
  }
  server.on(event, socket => { decide(socket, serveHttp1) })
}

/** Node closes those connections of which HTTP/1 knows; here are the others. `close` calls `closeIdleConnections`. */
function closeToo (server: Server, { sessions, silent }: { sessions: Http2Sessions, silent: ReadonlySet<Socket> }): void {
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => { sockets.delete(socket) })
  })
  const closeIdle = server.closeIdleConnections.bind(server)
  server.closeIdleConnections = () => {
    closeIdle()
    sessions.end()
    for (const socket of silent) socket.destroy()
  }
  server.closeAllConnections = () => {
    for (const socket of sockets) socket.destroy()
  }
}
