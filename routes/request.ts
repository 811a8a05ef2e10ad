import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendContinue } from '../services/http/expect.js'
import { http2Stream } from '../services/http/http2-stream.js'
import { ClientAborted } from '../services/http/receive.js'

/** The body as a stream: our parser passes it through. Asks for it, if the client waits to be asked. */
export function bodyOf ({ body, raw }: Pick<FastifyRequest, 'body' | 'raw'>, reply: Pick<FastifyReply, 'raw'>): Readable {
  sendContinue(raw, reply.raw)
  // A request without a body has an empty stream.
  return (body as Readable | undefined) ?? raw
}

/** What Content-Length says; Node has checked that it is a number. Undefined for chunked bodies. */
export function declaredLength ({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** Whether a body comes, or may come. In HTTP/2 a body of unknown length has no header of its own. */
export function hasBody ({ headers, raw }: Pick<FastifyRequest, 'headers' | 'raw'>): boolean {
  const length = declaredLength({ headers })
  if (length !== undefined) return length > 0
  return http2Stream(raw)?.endAfterHeaders === false || headers['transfer-encoding'] !== undefined
}

/** For the requests of a connection, one after the other. */
const closeSignals = new WeakMap<Socket, AbortSignal>()

/** Aborts, with {@link ClientAborted}, when the client goes away before it has its answer. */
export function closeSignal ({ raw }: Pick<FastifyReply, 'raw'>): AbortSignal {
  const { socket } = raw.req
  // Not where requests are injected, nor in HTTP/2, whose connections carry many at once.
  if (http2Stream(raw) !== undefined || !(socket instanceof Socket)) return answerSignal(raw)
  const known = closeSignals.get(socket)
  if (known !== undefined) return known
  const controller = new AbortController()
  if (socket.destroyed) controller.abort(new ClientAborted())
  else socket.once('close', () => { controller.abort(new ClientAborted()) })
  closeSignals.set(socket, controller.signal)
  return controller.signal
}

function answerSignal (raw: FastifyReply['raw']): AbortSignal {
  const controller = new AbortController()
  if (raw.destroyed || http2Stream(raw)?.destroyed === true) controller.abort(new ClientAborted())
  raw.once('close', () => { if (!raw.writableFinished) controller.abort(new ClientAborted()) })
  return controller.signal
}
