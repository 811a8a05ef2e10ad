import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

interface Answer {
  readonly status: number
  /** `Content-Length` */
  readonly declared: number | string | string[] | undefined
  /** It did not break off. */
  readonly isWhole: boolean
}

export interface Transferred { readonly received: number, readonly sent: number }

/** What a connection of HTTP/1 had carried when its last request was over, and what was said of that one. */
const carried = new WeakMap<Socket, { readonly read: number, readonly written: number, readonly last: IncomingMessage, readonly result: Transferred }>()

/**
 * Bytes of the body that came and of the answer that went, to be asked when a request is over. Where a length was
 * declared and came to its end, it is that; of a body without one, or one that broke off, what its connection carried,
 * head included. Of those nothing is known in HTTP/2, whose connections carry many: 0.
 */
export function transferred (request: IncomingMessage, { status, declared, isWhole }: Answer): Transferred {
  const socket = request.httpVersionMajor === 1 ? request.socket : undefined
  const before = socket === undefined ? undefined : carried.get(socket)
  // The log and the metrics both ask.
  if (before?.last === request) return before.result
  // Not a socket where requests are injected.
  const now = { read: socket?.bytesRead ?? 0, written: socket?.bytesWritten ?? 0 }
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  const hasNone = request.method === 'HEAD' || status === 204 || status === 304
  const result = {
    received: hasBody ? (request.complete ? length(request.headers['content-length']) : undefined) ?? now.read - (before?.read ?? 0) : 0,
    sent: hasNone ? 0 : (isWhole ? length(declared) : undefined) ?? now.written - (before?.written ?? 0)
  }
  if (socket !== undefined) carried.set(socket, { ...now, last: request, result })
  return result
}

function length (header: number | string | string[] | undefined): number | undefined {
  const bytes = Number(header)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
