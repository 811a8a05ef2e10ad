import type { IncomingMessage } from 'node:http'

const MAX_BYTES = 4 * 1024 * 1024
const MAX_MS = 10_000

/**
 * Lets a refused request come to its end: the rest of its body is thrown away, so that the client gets to read the
 * answer and may keep its connection; a client that goes on sending is cut off.
 */
export function drain (request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  let left = MAX_BYTES
  const cutOff = (): void => { request.destroy() }
  const timer = setTimeout(cutOff, MAX_MS).unref()
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) cutOff()
  })
  request.once('close', () => { clearTimeout(timer) })
  request.resume()
}
