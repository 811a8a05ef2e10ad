import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** What becomes of a request: refused with an error of the store; cut off in the request's or the answer's body; held back for a while; its answer lost, or with other headers. */
export type Fault = { readonly until: Promise<unknown> } | { readonly status: number, readonly code: string } | { readonly cutRequestAfter: number } | { readonly cutAnswerAfter: number } | { readonly headers: Readonly<Record<string, string>> } | 'lose the answer'

export interface FaultyStore {
  readonly url: string
  /** Method and URL of all requests. */
  readonly requests: string[]
  /** Answers that were cut off by the client. */
  readonly abandoned: string[]
  fault: (request: string) => Fault | undefined
}

/** Passes HTTP on to a store, and breaks what `fault` says. */
export async function startFaultyStore (t: Test, url: string): Promise<FaultyStore> {
  const store: FaultyStore = { url: '', requests: [], abandoned: [], fault: () => undefined }
  const server = createServer((incoming, outgoing) => {
    const name = `${incoming.method ?? ''} ${incoming.url ?? ''}`
    store.requests.push(name)
    outgoing.on('close', () => { if (!outgoing.writableFinished) store.abandoned.push(name) })
    const fault = store.fault(name)
    if (typeof fault === 'object' && 'status' in fault) refuse(incoming, outgoing, fault)
    else if (typeof fault === 'object' && 'until' in fault) void fault.until.then(() => { pass(url, incoming, outgoing, undefined) })
    else pass(url, incoming, outgoing, fault)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return Object.assign(store, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

function refuse (incoming: IncomingMessage, outgoing: ServerResponse, { status, code }: { status: number, code: string }): void {
  incoming.resume().on('end', () => {
    outgoing.writeHead(status, { 'content-type': 'application/xml' })
    outgoing.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>injected</Message></Error>`)
  })
}

function pass (url: string, incoming: IncomingMessage, outgoing: ServerResponse, fault: Exclude<Fault, { status: number } | { until: unknown }> | undefined): void {
  const { hostname, port } = new URL(url)
  const upstream = request({ hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers })
  const cut = (): void => { upstream.destroy(); incoming.socket.destroy() }
  upstream.on('error', cut)
  upstream.on('response', answer => {
    if (fault === 'lose the answer') return answer.resume().on('end', cut)
    outgoing.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...typeof fault === 'object' && 'headers' in fault ? fault.headers : {} })
    forward(answer, outgoing, typeof fault === 'object' && 'cutAnswerAfter' in fault ? fault.cutAnswerAfter : Infinity, cut)
  })
  outgoing.on('close', () => { upstream.destroy() })
  forward(incoming, upstream, typeof fault === 'object' && 'cutRequestAfter' in fault ? fault.cutRequestAfter : Infinity, cut)
}

function forward (from: IncomingMessage, to: NodeJS.WritableStream, limit: number, cut: () => void): void {
  let passed = 0
  from.on('data', (chunk: Buffer) => {
    passed += chunk.length
    if (passed > limit) return cut()
    if (!to.write(chunk)) {
      from.pause()
      to.once('drain', () => { from.resume() })
    }
  }).on('end', () => { if (passed <= limit) to.end() }).on('error', cut)
}
