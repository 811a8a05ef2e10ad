import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

interface Answer {
  readonly status: number
  /** `Content-Length` */
  readonly declared: number | string | string[] | undefined
  /** It did not break off. */
  readonly isWhole: boolean
}

/** What a connection of HTTP/1 had carried when its last request was over. */
const carried = new WeakMap<Socket, { readonly read: number, readonly written: number }>()

/**
 * Bytes of the body that came and of the answer that went, to be asked once, when a request is over. Where a length was
 * declared and came to its end, it is that; of a body without one, or one that broke off, what its connection carried,
 * head included. Of those nothing is known in HTTP/2, whose connections carry many: 0.
 */
export function transferred (request: IncomingMessage, { status, declared, isWhole }: Answer): { readonly received: number, readonly sent: number } {
  const socket = request.httpVersionMajor === 1 ? request.socket : undefined
  // Not a socket where requests are injected.
  const now = { read: socket?.bytesRead ?? 0, written: socket?.bytesWritten ?? 0 }
  const before = socket === undefined ? undefined : carried.get(socket)
  if (socket !== undefined) carried.set(socket, now)
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  const hasNone = request.method === 'HEAD' || status === 204 || status === 304
  return {
    received: hasBody ? (request.complete ? length(request.headers['content-length']) : undefined) ?? now.read - (before?.read ?? 0) : 0,
    sent: hasNone ? 0 : (isWhole ? length(declared) : undefined) ?? now.written - (before?.written ?? 0)
  }
}

function length (header: number | string | string[] | undefined): number | undefined {
  const bytes = Number(header)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
