import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Test } from 'tap'
import type { RegistryEvent } from '../../services/notifications/event.js'

export interface Delivery { readonly headers: IncomingHttpHeaders, readonly method: string, readonly url: string, readonly body: string }

/** What a receiver does with a request whose body it has read, unless it does not care for that. */
export type Behaviour = (request: IncomingMessage, response: ServerResponse, count: number) => void

export const answer = (status: number, headers: Record<string, string> = {}): Behaviour => (_request, response) => { response.writeHead(status, headers).end('the body of an answer') }
export const ok = answer(200)
/** Cuts the connection instead of answering. */
export const reset: Behaviour = request => { request.socket.resetAndDestroy() }
/** Never answers. */
export const silence: Behaviour = () => {}

/** A real HTTP server that takes events, or does not. */
export class Receiver {
  readonly url: string
  /** Everything whose body arrived in full, in order. */
  readonly deliveries: Delivery[] = []
  /** Requests, whatever became of them. */
  count = 0
  behaviour: Behaviour = ok
  /** False: it answers before it has read anything. */
  reads = true
  connections = 0
  readonly #server: Server
  #wake: Array<() => void> = []

  static async start (t: Test, behaviour: Behaviour = ok, port = 0): Promise<Receiver> {
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    const receiver = new Receiver(server, behaviour)
    t.teardown(async () => { await receiver.close() })
    return receiver
  }

  private constructor (server: Server, behaviour: Behaviour) {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening on a port')
    this.url = `http://127.0.0.1:${address.port}/callback?key=value`
    this.behaviour = behaviour
    this.#server = server
    server.on('connection', () => { this.connections++ })
    server.on('request', (request, response) => { this.#take(request, response) })
  }

  get port (): number {
    return Number(new URL(this.url).port)
  }

  /** The events of all deliveries that are in docker's envelope. */
  get events (): RegistryEvent[] {
    return this.deliveries.flatMap(({ body }) => (JSON.parse(body) as { events: RegistryEvent[] }).events)
  }

  /** Waits until that many deliveries have arrived. */
  async received (count: number): Promise<Delivery[]> {
    await this.until(() => this.deliveries.length >= count)
    return this.deliveries
  }

  /** Waits until it is so; looked at whenever something arrives. */
  async until (condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>(resolve => { this.#wake.push(resolve) })
  }

  /** Vanishes: nobody listens any more, and open connections are cut. */
  async close (): Promise<void> {
    this.#server.closeAllConnections()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #take (request: IncomingMessage, response: ServerResponse): void {
    const count = ++this.count
    if (!this.reads) {
      this.behaviour(request, response, count)
      this.#arrived()
      return
    }
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => { body += text }).on('end', () => {
      this.deliveries.push({ headers: request.headers, method: request.method ?? '', url: request.url ?? '', body })
      this.behaviour(request, response, count)
      this.#arrived()
    })
    request.on('error', () => {})
  }

  #arrived (): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}
