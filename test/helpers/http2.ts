import { once } from 'node:events'
import { connect, constants } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders, SecureClientSessionOptions } from 'node:http2'
import { Readable } from 'node:stream'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'

export const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants

export interface Http2Answer { readonly status: number, readonly headers: Readonly<Record<string, string | string[]>>, readonly body: Buffer }

/** A session with a server, cut with the test. `url` is `http://127.0.0.1:port`, or https. */
export async function openSession (t: Test, url: string, options: SecureClientSessionOptions = {}): Promise<ClientHttp2Session> {
  const session = connect(url, { rejectUnauthorized: false, ...options })
  // A test that wants it asks for it; a session that is cut with its server must not end the test.
  session.on('error', () => {})
  t.teardown(() => { session.destroy() })
  await once(session, 'connect')
  return session
}

/** Begins a request whose body the test writes; resets that are part of the test are no uncaught exceptions. */
export function begin (session: ClientHttp2Session, method: string, path: string, headers: OutgoingHttpHeaders = {}, { endStream = false } = {}): ClientHttp2Stream {
  const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream })
  stream.on('error', () => {})
  return stream
}

/** The whole answer. Rejects when the stream ends without one, or without all of it. */
export async function answerOf (stream: ClientHttp2Stream): Promise<Http2Answer> {
  const chunks: Buffer[] = []
  let headers: Record<string, string | string[]> | undefined
  stream.on('response', (_received: object, _flags: number, raw: string[]) => { headers = grouped(raw) })
  stream.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  if (!stream.closed) await new Promise<void>(resolve => { stream.once('close', () => { resolve() }) })
  const body = Buffer.concat(chunks)
  if (headers === undefined) throw new Error(`no answer, reset with code ${stream.rstCode}`)
  const { ':status': status, ...others } = headers
  const isHead = stream.sentHeaders[':method'] === 'HEAD' || status === '304'
  const length = isHead ? 0 : Number(others['content-length'] ?? body.length)
  if (stream.rstCode !== NGHTTP2_NO_ERROR || body.length !== length) throw new Error(`answer broken off after ${body.length} bytes, reset with code ${stream.rstCode}`)
  return { status: Number(status), headers: others, body }
}

/** Node joins what was sent more than once. */
function grouped (raw: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (let i = 0; i < raw.length; i += 2) {
    const [name = '', value = ''] = raw.slice(i, i + 2)
    headers[name] = name in headers ? [...[headers[name] as string | string[]].flat(), value] : value
  }
  return headers
}

/** A request and its answer. */
export async function ask (session: ClientHttp2Session, method: string, path: string, headers: OutgoingHttpHeaders = {}, body?: Buffer | string | Readable): Promise<Http2Answer> {
  const hasLength = typeof body === 'string' || Buffer.isBuffer(body)
  const length = hasLength ? { 'content-length': Buffer.byteLength(body) } : {}
  const stream = begin(session, method, path, { ...length, ...headers }, { endStream: body === undefined })
  if (body instanceof Readable) body.pipe(stream)
  else if (body !== undefined) stream.end(body)
  return await answerOf(stream)
}

/** What HTTP/2 has no place for, or another one. */
const HTTP1_ONLY = new Set(['host', 'connection', 'transfer-encoding'])

/** An app that listens, and whose `inject` is a request over HTTP/2. */
export function injectOverHttp2 (app: FastifyInstance, session: ClientHttp2Session): FastifyInstance {
  const inject = async (request: InjectOptions | string): Promise<LightMyRequestResponse> => {
    const { method = 'GET', url, headers = {}, payload } = typeof request === 'string' ? { url: request } : request
    const own = Object.entries(headers).filter(([name]) => !HTTP1_ONLY.has(name.toLowerCase()))
    const authority = Object.entries(headers).find(([name]) => name.toLowerCase() === 'host')?.[1] ?? 'localhost:80'
    // As inject itself does it; a raw space is not even sent.
    const { pathname, search } = new URL(String(url), 'http://localhost')
    const { status, headers: answered, body } = await ask(session, method, pathname + search, { ...Object.fromEntries(own), ':authority': String(authority) }, payload as Buffer | string | Readable | undefined)
    const text = body.toString()
    return { statusCode: status, headers: answered, rawPayload: body, payload: text, body: text, json: () => JSON.parse(text) as unknown } as unknown as LightMyRequestResponse
  }
  return new Proxy(app, { get: (target, key) => key === 'inject' ? inject : Reflect.get(target, key) as unknown })
}
