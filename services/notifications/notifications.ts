import type { Workers } from '../workers/workers.js'
import type { Clock } from './delivery.js'
import type { Endpoint, EndpointSettings } from './endpoint.js'
import type { EventStream } from './event-stream.js'
import type { RegistryEvent } from './event.js'
import type { Log } from '../log/log.js'
import { Outbox } from './outbox.js'
import type { Serialized } from './queue.js'
import type { Queues } from './queues.js'
import { Subscribers } from './subscribers.js'
import type { Tracing } from '../tracing/tracing.js'

export interface NotificationsOptions {
  readonly endpoints: readonly EndpointSettings[]
  /** Opened by the process that leads. */
  readonly queues: Queues
  readonly stream?: EventStream | undefined
  readonly workers: Workers
  /** Events that may wait in this process for another one that leads. */
  readonly limit: number
  readonly clock: Clock
  readonly log: Log
  /** Undefined where requests are not traced. */
  readonly tracing?: Tracing | undefined
}

const TOPIC = 'notifications'
const STREAM_TOPIC = 'notifications.stream'

/**
 * Everything that hears of events: endpoints, streams, subscribers. With several processes the leader has all queues, so
 * that what reaches an endpoint is in one order; the others hand their events to it.
 */
export class Notifications {
  readonly subscribers: Subscribers
  readonly #options: NotificationsOptions
  readonly #outbox: Outbox | undefined
  /** In the process that leads. */
  #endpoints: Promise<readonly Endpoint[]> | undefined
  #open: readonly Endpoint[] = []
  #isReady = false
  #isClosed = false

  constructor (options: NotificationsOptions) {
    const { workers, stream, log, clock, limit } = options
    this.#options = options
    this.subscribers = new Subscribers(log)
    if (!this.#isShared) return
    this.#outbox = workers.count === 1 ? undefined : new Outbox({ workers, topic: TOPIC, limit, clock, log })
    workers.serve(TOPIC, async events => { await this.#accept(events as RegistryEvent[]) })
    workers.subscribe(STREAM_TOPIC, events => { stream?.publish(serialized(events as RegistryEvent[])) })
    workers.onLead(() => { this.#lead() })
  }

  /** Whether anybody hears of events: if not, nobody need make one. */
  get listens (): boolean {
    return this.#isShared || !this.subscribers.isEmpty
  }

  /** Resolves when this process is ready to take events in. */
  async opened (): Promise<void> {
    await this.#endpoints
    this.#isReady = true
  }

  /** Resolves when the event is in every queue. Never rejects. */
  async emit (event: RegistryEvent): Promise<void> {
    this.subscribers.emit(event)
    if (!this.#isShared) return
    try {
      await (this.#outbox === undefined ? this.#accept([event]) : this.#outbox.send(event))
    } catch (error) {
      this.#options.log.error({ err: error, id: event.id }, 'an event is lost')
    }
  }

  /** Those whose queues this process has: none, when another one leads. */
  endpoints (): readonly Endpoint[] {
    return this.#open
  }

  /** Delivers what it can until the signal is aborted. */
  async close (signal: AbortSignal): Promise<void> {
    await this.#outbox?.close(signal)
    this.#isClosed = true
    const endpoints = await this.#endpoints?.catch(() => []) ?? []
    await Promise.all(endpoints.map(async endpoint => { await endpoint.close(signal) }))
    await this.#options.queues.close()
  }

  get #isShared (): boolean {
    return this.#options.endpoints.length > 0 || this.#options.stream !== undefined
  }

  #lead (): void {
    this.#endpoints = this.#openAll()
    // At the start that is a reason not to start; later on there is nobody else to tell.
    this.#endpoints.catch((error: unknown) => { if (this.#isReady) this.#options.log.error({ err: error }, 'notifications: the queues cannot be opened; nobody is told of events') })
  }

  async #openAll (): Promise<readonly Endpoint[]> {
    const { endpoints, queues, clock, log, tracing } = this.#options
    if (endpoints.length === 0) return []
    // Loaded where somebody is told: its HTTP client would cost every start.
    const { Endpoint } = await import('./endpoint.js')
    this.#open = await Promise.all(endpoints.map(async settings => new Endpoint({ settings, queue: await queues.open(settings.name), clock, log, tracing })))
    return this.#open
  }

  async #accept (events: readonly RegistryEvent[]): Promise<void> {
    const { stream, workers, log } = this.#options
    const endpoints = await this.#endpoints
    if (endpoints === undefined || this.#isClosed) throw new Error('this process takes no events')
    const all = serialized(events)
    if (stream !== undefined) {
      stream.publish(all)
      // Nobody waits for those who only watch.
      if (workers.count > 1) workers.broadcast(STREAM_TOPIC, events).catch((error: unknown) => { log.debug({ err: error }, 'events for the streams of other processes') })
    }
    await Promise.all(endpoints.map(async endpoint => { await endpoint.accept(all) }))
  }
}

function serialized (events: readonly RegistryEvent[]): Serialized[] {
  return events.map(event => ({ event, json: JSON.stringify(event) }))
}
