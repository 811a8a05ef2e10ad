import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import type { Http2Stream } from 'node:http2'
import type { Socket } from 'node:net'

interface Breaking {
  /** Bytes of the body that get through. */
  readonly after: number
  /** Asked when they have: false lets everything through after all. */
  readonly strike: () => boolean
}

interface OnHttp2 { readonly stream?: Http2Stream }

/** Ends the connection as a machine that lost its state does; of HTTP/2, the stream. */
export function resetConnection (message: IncomingMessage | ServerResponse): void {
  const { stream } = message as OnHttp2
  if (stream !== undefined) return stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  const { socket } = message
  if (socket !== null && 'encrypted' in socket) socket.destroy()
  else socket?.resetAndDestroy()
}

/** Ends the connection as a server does that thinks it has said everything. */
export function closeConnection (response: ServerResponse): void {
  const { stream } = response as OnHttp2
  if (stream !== undefined) return stream.close(constants.NGHTTP2_NO_ERROR)
  const socket: Socket | null = response.socket
  socket?.destroySoon()
}

/**
 * Lets the first bytes of a request's body through, exactly so many, and resets the connection when the registry has
 * taken them. Must be called before any of the body has arrived.
 */
export function breakRequest (request: IncomingMessage, { after, strike }: Breaking): void {
  const push = request.push.bind(request)
  let left = after
  let isBroken = false
  request.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (isBroken) return false
    if (chunk === null || chunk.length < left) {
      left -= chunk?.length ?? 0
      return push(chunk, encoding)
    }
    if (!strike()) {
      request.push = push
      return push(chunk, encoding)
    }
    isBroken = true
    if (left > 0) push(chunk.subarray(0, left))
    whenRead(request, () => { resetConnection(request) })
    return false
  }
}

/** A reset takes away what was not read yet. */
function whenRead (request: IncomingMessage, callback: () => void): void {
  if (request.readableLength === 0 || request.destroyed) callback()
  else setImmediate(whenRead, request, callback)
}

type Written = (chunk?: unknown, ...rest: unknown[]) => unknown

/** Lets the first bytes of an answer's body through, exactly so many, and ends the connection. */
export function breakAnswer (response: ServerResponse, { after, strike, end }: Breaking & { readonly end: (response: ServerResponse) => void }): void {
  const write = response.write.bind(response) as (chunk: Uint8Array, callback: () => void) => boolean
  let left = after
  let isBroken = false
  const takes = (chunk: unknown): boolean => {
    if (isBroken) return true
    if (!(typeof chunk === 'string' || chunk instanceof Uint8Array)) return false
    const bytes = Buffer.from(chunk)
    if (bytes.length < left || !strike()) {
      left -= bytes.length
      return false
    }
    isBroken = true
    response.flushHeaders()
    if (left === 0) setImmediate(end, response)
    else write(bytes.subarray(0, left), () => { end(response) })
    return true
  }
  const instead = (original: Written, result: unknown): Written => (chunk, ...rest) => takes(chunk) ? result : original(chunk, ...rest)
  Object.assign(response, {
    write: instead(response.write.bind(response) as Written, true),
    end: instead(response.end.bind(response) as Written, response)
  })
}
