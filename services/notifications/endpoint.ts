import { Delivery } from './delivery.js'
import type { Clock } from './delivery.js'
import type { EnvelopeFormat } from './envelope.js'
import { EndpointRefused, HttpSink } from './http-sink.js'
import type { Log } from '../log/log.js'
import type { EventQueue, Serialized } from './queue.js'
import { TracedSink } from '../tracing/traced-sink.js'
import type { Tracing } from '../tracing/tracing.js'

/** An endpoint of the configuration, its defaults filled in and its durations in milliseconds. */
export interface EndpointSettings {
  /** Unique among the endpoints. */
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly timeout: number
  readonly threshold: number
  readonly backoff: number
  readonly format: EnvelopeFormat
  readonly secret: string | undefined
  readonly ignore: { readonly mediatypes: readonly string[], readonly actions: readonly string[] }
}

/** How an endpoint does. Counted since the process started; with several processes, where the leader is. */
export interface EndpointStats {
  readonly endpoint: string
  /** Events that wait. */
  readonly pending: number
  /** Events that were taken in. */
  readonly events: number
  readonly successes: number
  /** Attempts that were answered with a status that is none of success. */
  readonly failures: number
  /** Attempts that were not answered. */
  readonly errors: number
  /** Events that had to make room, or could not be kept. */
  readonly dropped: number
  /** Answers by status, such as `200 OK`. */
  readonly statuses: Readonly<Record<string, number>>
  readonly lastError?: { readonly time: string, readonly message: string }
  /** Age of the event that waits longest, in seconds. */
  readonly oldestSeconds: number
}

export interface EndpointParts {
  readonly settings: EndpointSettings
  readonly queue: EventQueue
  readonly clock: Clock
  readonly log: Log
  /** Undefined where requests are not traced. */
  readonly tracing?: Tracing | undefined
}

/** One receiver of events: what it does not want is left out, the rest waits in its queue and is delivered from there. */
export class Endpoint {
  readonly settings: EndpointSettings
  readonly #parts: EndpointParts
  readonly #sink: HttpSink
  readonly #delivery: Delivery
  readonly #statuses: Record<string, number> = {}
  #events = 0
  #successes = 0
  #failures = 0
  #errors = 0
  #lastError: { time: string, message: string } | undefined

  constructor (parts: EndpointParts) {
    const { settings, queue, clock, log, tracing } = parts
    const { name, threshold, backoff } = settings
    this.settings = settings
    this.#parts = parts
    this.#sink = new HttpSink({
      ...settings,
      traceHeaders: () => tracing?.headers() ?? {},
      onAnswer: status => {
        this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
        tracing?.note({ 'http.response.status_code': Number.parseInt(status, 10) })
      }
    })
    this.#delivery = new Delivery({
      name,
      queue,
      sink: tracing === undefined ? this.#sink : new TracedSink(this.#sink, tracing, settings),
      threshold,
      backoff,
      clock,
      log,
      onDelivered: () => { this.#successes++ },
      onFailed: error => { this.#failed(error) }
    })
  }

  /** Resolves when the events are in the queue. */
  async accept (events: readonly Serialized[]): Promise<void> {
    const { ignore: { mediatypes, actions } } = this.settings
    const wanted = events.filter(({ event: { action, target } }) => !actions.includes(action) && !mediatypes.includes(target.mediaType))
    if (wanted.length === 0) return
    this.#events += wanted.length
    await this.#parts.queue.append(wanted)
  }

  stats (): EndpointStats {
    const { settings: { name }, queue, clock } = this.#parts
    const { oldest } = this.#delivery
    return {
      endpoint: name,
      pending: queue.pending,
      events: this.#events,
      successes: this.#successes,
      failures: this.#failures,
      errors: this.#errors,
      dropped: queue.dropped,
      statuses: { ...this.#statuses },
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      oldestSeconds: oldest === undefined ? 0 : Math.max(0, (clock.now() - oldest) / 1000)
    }
  }

  /** Delivers what it can until the signal is aborted; a durable queue keeps the rest, of any other it is said how much is lost. */
  async close (signal: AbortSignal): Promise<void> {
    const { settings: { name }, queue, log } = this.#parts
    await this.#delivery.close(signal)
    await this.#sink.close()
    const { pending, isDurable } = queue
    await queue.close()
    if (pending === 0) return
    if (isDurable) log.info({ endpoint: name, pending }, `notifications: ${pending} events for ${name} are kept`)
    else log.warn({ endpoint: name, pending }, `notifications: ${pending} events for ${name} were not delivered and are lost`)
  }

  #failed (error: unknown): void {
    if (error instanceof EndpointRefused) this.#failures++
    else this.#errors++
    this.#lastError = { time: new Date(this.#parts.clock.now()).toISOString(), message: messageOf(error) }
  }
}

/** Of a connection that failed on several addresses, what the first of them said. */
function messageOf (error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
