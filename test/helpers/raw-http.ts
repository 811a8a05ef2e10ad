import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export interface RawAnswer { readonly status: number, readonly headers: ReadonlyMap<string, string>, readonly body: string }

/**
 * A connection on which a test writes exactly the bytes it wants, and reads what comes back. `host` is `127.0.0.1:port`.
 */
export class RawConnection {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #wake: (() => void) | undefined
  #closed = false

  static async open (host: string): Promise<RawConnection> {
    const [address, port] = host.split(':')
    const socket = connect({ host: address ?? '127.0.0.1', port: Number(port) })
    await once(socket, 'connect')
    return new RawConnection(socket)
  }

  private constructor (socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => { this.#received = Buffer.concat([this.#received, chunk]); this.#wake?.() })
    socket.on('close', () => { this.#closed = true; this.#wake?.() })
    socket.on('error', () => { this.#closed = true; this.#wake?.() })
  }

  send (text: string | Uint8Array): void {
    this.socket.write(text)
  }

  /** The next answer. `head` for a HEAD request, whose answer has no body whatever its Content-Length says. */
  async answer ({ head = false }: { head?: boolean } = {}): Promise<RawAnswer> {
    const end = await this.#until('\r\n\r\n')
    const [statusLine = '', ...lines] = this.#take(end).toString('latin1').trimEnd().split('\r\n')
    const headers = new Map(lines.map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }))
    const status = Number(statusLine.split(' ')[1])
    const length = head || status === 204 || status === 304 || status < 200 ? 0 : Number(headers.get('content-length') ?? 0)
    while (this.#received.length < length) await this.#more()
    return { status, headers, body: this.#take(length).toString('latin1') }
  }

  /** Cuts the connection without a goodbye. */
  abort (): void {
    this.socket.resetAndDestroy()
  }

  async #until (mark: string): Promise<number> {
    for (;;) {
      const at = this.#received.indexOf(mark)
      if (at !== -1) return at + mark.length
      await this.#more()
    }
  }

  async #more (): Promise<void> {
    if (this.#closed) throw new Error(`connection closed; received: ${this.#received.toString('latin1')}`)
    await new Promise<void>(resolve => { this.#wake = resolve })
  }

  #take (length: number): Buffer {
    const taken = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return taken
  }
}

/** One request on a connection of its own; `path` reaches the server exactly as written. `body` is latin1: a character a byte. */
export async function rawRequest (host: string, method: string, path: string, headers: Record<string, string> = {}, body = ''): Promise<RawAnswer> {
  const connection = await RawConnection.open(host)
  const lines = Object.entries({ host, connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  connection.send(Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`, 'latin1'))
  const answer = await connection.answer({ head: method === 'HEAD' })
  connection.socket.destroy()
  return answer
}
