import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { Test } from 'tap'
import { RawConnection } from './raw-http.js'

/** Never aborted. */
export const NEVER: AbortSignal = new AbortController().signal

/** A source of what is pushed into it. */
export function pushable (): Readable {
  return new Readable({ read () {} })
}

/** What an operation failed with. */
export const errorOf = (operation: Promise<unknown>): Promise<unknown> => operation.then(() => undefined, (error: unknown) => error)

/** Something to wait for. */
export interface Gate { readonly passed: Promise<void>, readonly open: () => void }
export function gate (): Gate {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => { open = resolve })
  return { passed, open }
}

/** A server on the loopback interface, gone with the test. Gives `127.0.0.1:port`. */
export async function serve (t: Test, handler: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<string> {
  const server = createServer((request, response) => { void handler(request, response) })
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A connection that is gone with the test. */
export async function open (t: Test, host: string): Promise<RawConnection> {
  const connection = await RawConnection.open(host)
  t.teardown(() => { connection.socket.destroy() })
  return connection
}

/** The head of a request with a body. */
export const post = (host: string, length: number): string => `POST / HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${length}\r\n\r\n`
