import type { IncomingMessage, Server, ServerResponse } from 'node:http'

const waiting = new WeakSet<IncomingMessage>()

/**
 * Lets clients that send `Expect: 100-continue` wait with their body until somebody wants it: Node's own answer
 * comes before access is decided, and can even be written into the middle of a refusal.
 */
export function holdContinue (server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.add(request)
    server.emit('request', request, response)
  })
}

/** Tells a waiting client to send its body. Nothing happens if it does not wait. */
export function sendContinue (request: IncomingMessage, response: ServerResponse): void {
  if (waiting.delete(request)) response.writeContinue()
}
