import type { IncomingMessage } from 'node:http'
import { http2Stream } from './http2-stream.js'

const MAX_BYTES = 4 * 1024 * 1024
const MAX_MS = 10_000

/**
 * Lets a refused request come to its end: the rest of its body is thrown away, so that the client gets to read the
 * answer and may keep its connection; a client that goes on sending is cut off.
 */
export function drain (request: IncomingMessage): void {
  const stream = http2Stream(request)
  if (request.complete || request.destroyed || stream?.endAfterHeaders === true) return
  let left = MAX_BYTES
  // HTTP/2 can end one request and keep the connection: RST_STREAM says that the answer is all there will be.
  const cutOff = (): void => { if (stream === undefined) request.destroy(); else stream.close() }
  const timer = setTimeout(cutOff, MAX_MS).unref()
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) cutOff()
  })
  request.once('close', () => { clearTimeout(timer) })
  request.resume()
}
