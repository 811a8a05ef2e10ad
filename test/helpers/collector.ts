import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { fieldsOf } from './protobuf.js'
import type { Field } from './protobuf.js'

export type SpanAttributes = Readonly<Record<string, unknown>>

/** A span as it came over the wire; ids in hexadecimal, the parent's is empty at the root. */
export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number
  readonly attributes: SpanAttributes
  /** Names of its events. */
  readonly events: readonly string[]
  /** 0 nothing is said, 2 error. */
  readonly status: number
  readonly resource: SpanAttributes
}

interface JsonAttribute { readonly key: string, readonly value: Readonly<Record<string, unknown>> }
interface JsonSpan extends Omit<CollectedSpan, 'attributes' | 'events' | 'status' | 'resource'> {
  readonly attributes?: readonly JsonAttribute[]
  readonly events?: ReadonlyArray<{ readonly name: string }>
  readonly status?: { readonly code?: number }
}
interface JsonRequest {
  readonly resourceSpans: ReadonlyArray<{ readonly resource: { readonly attributes: readonly JsonAttribute[] }, readonly scopeSpans: ReadonlyArray<{ readonly spans: readonly JsonSpan[] }> }>
}

/** A real receiver of OTLP over HTTP, in both of its formats. */
export class Collector {
  readonly url: string
  readonly spans: CollectedSpan[] = []
  /** What it answers. */
  status = 200
  /** Headers of all requests. */
  readonly requests: Array<Readonly<Record<string, unknown>>> = []
  readonly #server: Server
  #wake: Array<() => void> = []

  static async start (t: Test, port = 0): Promise<Collector> {
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    const collector = new Collector(server)
    t.teardown(async () => { await collector.close() })
    return collector
  }

  private constructor (server: Server) {
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (request, response) => {
      void buffer(request).then(body => {
        this.requests.push({ ...request.headers, path: request.url })
        if (this.status === 200) this.spans.push(...request.headers['content-type'] === 'application/json' ? spansOfJson(body) : spansOfProtobuf(body))
        response.writeHead(this.status).end(request.headers['content-type'] === 'application/json' ? '{}' : '')
        for (const wake of this.#wake.splice(0)) wake()
      })
    })
  }

  /** Waits for a span with that name, and of those the one that is wanted. */
  async span (name: string, isWanted: (span: CollectedSpan) => boolean = () => true): Promise<CollectedSpan> {
    for (;;) {
      const found = this.spans.find(span => span.name === name && isWanted(span))
      if (found !== undefined) return found
      await this.#next()
    }
  }

  async requested (count: number): Promise<void> {
    while (this.requests.length < count) await this.#next()
  }

  async close (): Promise<void> {
    this.#server.closeAllConnections()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #next (): Promise<void> {
    await new Promise<void>(resolve => { this.#wake.push(resolve) })
  }
}

function spansOfJson (body: Buffer): CollectedSpan[] {
  const named = (list: readonly JsonAttribute[] = []): SpanAttributes => Object.fromEntries(list.map(({ key, value }) => [key, jsonValue(value)]))
  return (JSON.parse(body.toString()) as JsonRequest).resourceSpans.flatMap(({ resource, scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(span => ({
    ...span,
    parentSpanId: (span.parentSpanId as string | undefined) ?? '',
    attributes: named(span.attributes),
    events: (span.events ?? []).map(({ name }) => name),
    status: span.status?.code ?? 0,
    resource: named(resource.attributes)
  }))))
}

function jsonValue (value: Readonly<Record<string, unknown>>): unknown {
  const { arrayValue } = value as { arrayValue?: { values?: Array<Readonly<Record<string, unknown>>> } }
  return arrayValue === undefined ? Object.values(value)[0] : (arrayValue.values ?? []).map(jsonValue)
}

/** `ExportTraceServiceRequest`, by the numbers of its fields. */
function spansOfProtobuf (body: Buffer): CollectedSpan[] {
  return messages(fieldsOf(body), 1).flatMap(resourceSpans => {
    const resource = attributesOf(messages(resourceSpans, 1)[0] ?? new Map(), 1)
    return messages(resourceSpans, 2).flatMap(scopeSpans => messages(scopeSpans, 2)).map(span => ({
      traceId: bytes(span, 1).toString('hex'),
      spanId: bytes(span, 2).toString('hex'),
      parentSpanId: bytes(span, 4).toString('hex'),
      name: bytes(span, 5).toString(),
      kind: Number(span.get(6)?.[0] ?? 0),
      attributes: attributesOf(span, 9),
      events: messages(span, 11).map(event => bytes(event, 2).toString()),
      status: Number((messages(span, 15)[0] ?? new Map<number, Field[]>()).get(3)?.[0] ?? 0),
      resource
    }))
  })
}

function messages (of: Map<number, Field[]>, field: number): Array<Map<number, Field[]>> {
  return (of.get(field) ?? []).map(message => fieldsOf(message as Buffer))
}

function bytes (of: Map<number, Field[]>, field: number): Buffer {
  return (of.get(field)?.[0] ?? Buffer.alloc(0)) as Buffer
}

function attributesOf (of: Map<number, Field[]>, field: number): SpanAttributes {
  return Object.fromEntries(messages(of, field).map(pair => [bytes(pair, 1).toString(), anyValue(fieldsOf(bytes(pair, 2)))]))
}

/** Text, truth, whole number, or a list of them. */
function anyValue (value: Map<number, Field[]>): unknown {
  const [kind, [content] = []] = [...value][0] ?? [0, []]
  if (kind === 1) return (content as Buffer).toString()
  if (kind === 2) return content === 1n
  if (kind === 3) return Number(content)
  if (kind === 5) return messages(fieldsOf(content as Buffer), 1).map(anyValue)
  throw new TypeError(`an attribute of kind ${kind}`)
}
