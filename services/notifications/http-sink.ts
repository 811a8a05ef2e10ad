import { STATUS_CODES } from 'node:http'
import { Pool } from 'undici'
import { envelope } from './envelope.js'
import type { EnvelopeFormat } from './envelope.js'
import type { EventSink, RegistryEvent } from './event.js'
import { sign } from './signature.js'

export interface HttpSinkOptions {
  readonly url: string
  /** Added to every request. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** How long one attempt may take, in milliseconds. */
  readonly timeout: number
  readonly format: EnvelopeFormat
  /** Signs what is sent. */
  readonly secret?: string | undefined
  /** Tell the endpoint of the trace an event belongs to. */
  readonly traceHeaders?: () => Readonly<Record<string, string>>
  /** Called for every answer, with its status as in `200 OK`. */
  readonly onAnswer: (status: string) => void
}

/** The endpoint answered, and not as one that has taken the event. */
export class EndpointRefused extends Error {
  constructor (readonly status: string) {
    super(`response status ${status} unaccepted`)
    this.name = 'EndpointRefused'
  }
}

/** An answer's body says nothing that matters: this much of it is read so that its connection can be used again. */
const ANSWER_BYTES = 64 * 1024

/**
 * Sends events to a URL, one POST each, one at a time, on one connection. Anything from 200 to 399 means that the event
 * was taken; redirects are not followed.
 */
export class HttpSink implements EventSink {
  readonly #options: HttpSinkOptions
  readonly #pool: Pool
  readonly #path: string
  readonly #headers: Readonly<Record<string, string | string[]>>

  constructor (options: HttpSinkOptions) {
    const { origin, pathname, search, username, password } = new URL(options.url)
    this.#options = options
    this.#path = `${pathname}${search}`
    // As Go's client does with a URL that names somebody.
    const basic = username === '' && password === '' ? {} : { authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}` }
    const configured = Object.entries(options.headers).map(([name, values]) => [name.toLowerCase(), [...values]] as const)
    this.#headers = { 'user-agent': 'oci-registry', ...basic, ...Object.fromEntries(configured) }
    // The whole attempt has one limit, of which these are parts.
    this.#pool = new Pool(origin, { connections: 1, pipelining: 1, connect: { timeout: options.timeout }, headersTimeout: options.timeout, bodyTimeout: options.timeout })
  }

  /** @throws {EndpointRefused} for an answer of another kind, and whatever the connection throws */
  async write (events: readonly RegistryEvent[], signal: AbortSignal): Promise<void> {
    for (const event of events) await this.#post(event, signal)
  }

  /** Cuts the connection. */
  async close (): Promise<void> {
    await this.#pool.destroy()
  }

  async #post (event: RegistryEvent, stopped: AbortSignal): Promise<void> {
    const { timeout, format, secret, traceHeaders, onAnswer } = this.#options
    const { contentType, body } = envelope(event, format)
    const signature = secret === undefined ? {} : sign(secret, { id: event.id, seconds: Math.floor(Date.now() / 1000), body })
    const headers = { 'content-type': contentType, ...this.#headers, ...signature, ...traceHeaders?.() }
    const code = await within(timeout, stopped, async signal => {
      const { statusCode, body: answer } = await this.#pool.request({ method: 'POST', path: this.#path, headers, body, signal })
      // The status is all there is to know; what happens to the rest of the answer changes nothing.
      await answer.dump({ limit: ANSWER_BYTES, signal }).catch(() => {})
      return statusCode
    })
    const status = `${code} ${STATUS_CODES[code] ?? ''}`.trimEnd()
    onAnswer(status)
    if (code < 200 || code >= 400) throw new EndpointRefused(status)
  }
}

/** Calls off what takes too long, or is not wanted any more. */
async function within<T> (ms: number, stopped: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const stop = (): void => { controller.abort(stopped.reason) }
  const timer = setTimeout(() => { controller.abort(new Error(`no answer within ${ms} ms`)) }, ms)
  if (stopped.aborted) stop()
  stopped.addEventListener('abort', stop)
  try {
    return await run(controller.signal)
  } finally {
    clearTimeout(timer)
    stopped.removeEventListener('abort', stop)
  }
}
