import type { Socket } from 'node:net'

/** What a client of HTTP/2 sends first (RFC 9113 §3.4). No request of HTTP/1 can begin so. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export interface Peek {
  /** A client that has not shown by then what it speaks is cut off. */
  readonly timeoutMs: number
  readonly decided: (isHttp2: boolean) => void
}

/** Looks at a connection's first bytes, puts them back, and says which protocol they are. */
export function peekProtocol (socket: Socket, { timeoutMs, decided }: Peek): void {
  let head = Buffer.alloc(0)
  const giveUp = (): void => { socket.destroy() }
  const forget = (): void => { clearTimeout(timer) }
  const look = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    head = Buffer.concat([head, chunk])
    const length = Math.min(head.length, PREFACE.length)
    const isSame = head.compare(PREFACE, 0, length, 0, length) === 0
    if (isSame && length < PREFACE.length) return
    forget()
    socket.off('readable', look).off('end', giveUp).off('error', giveUp).off('close', forget)
    socket.unshift(head)
    decided(isSame)
  }
  const timer = setTimeout(giveUp, timeoutMs).unref()
  socket.on('readable', look).on('end', giveUp).on('error', giveUp).on('close', forget)
}
