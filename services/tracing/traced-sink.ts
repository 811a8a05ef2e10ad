import type { Attributes } from '@opentelemetry/api'
import type { EventSink, RegistryEvent } from '../notifications/event.js'
import { clientAttributes } from './client-attributes.js'
import type { Tracing } from './tracing.js'

export interface TracedEndpoint { readonly name: string, readonly url: string }

/** Shows each attempt to deliver an event in the trace of the request that it happened in. */
export class TracedSink implements EventSink {
  readonly #inner: EventSink
  readonly #tracing: Tracing
  readonly #attributes: Attributes

  constructor (inner: EventSink, tracing: Tracing, { name, url }: TracedEndpoint) {
    this.#inner = inner
    this.#tracing = tracing
    this.#attributes = { 'oci.event.endpoint': name, ...clientAttributes('POST', url) }
  }

  async write (events: readonly RegistryEvent[], signal: AbortSignal): Promise<void> {
    for (const event of events) await this.#deliver(event, signal)
  }

  async #deliver (event: RegistryEvent, signal: AbortSignal): Promise<void> {
    const { id, action, target: { repository } } = event
    const attributes = { ...this.#attributes, 'oci.event.id': id, 'oci.event.action': action, 'oci.repository': repository }
    // What is called off because the server stops is delivered later.
    const step = { name: 'deliver event', kind: 'client', attributes, isFault: () => !signal.aborted } as const
    await this.#tracing.resume(event, step, async () => { await this.#inner.write([event], signal) })
  }
}
