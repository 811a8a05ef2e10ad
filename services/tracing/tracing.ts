import { channel } from 'node:diagnostics_channel'
import type * as OpenTelemetry from '@opentelemetry/api'
import type { Attributes, Context, Span, SpanKind, Tracer } from '@opentelemetry/api'
import type { Eventually } from '../registry/types.js'
import { readTraceContext, traceContext } from './trace-context.js'
import type { TraceContext } from './trace-context.js'

export type TracingApi = typeof OpenTelemetry

/** What something is called in a trace, and what is known of it beforehand. */
export interface Step {
  readonly name: string
  /** `client` where somebody else is asked over the network. */
  readonly kind?: 'internal' | 'client'
  readonly attributes?: Attributes
  /** Whether an error means that something is wrong, and not only that the answer is no. Every one does unless given. */
  readonly isFault?: (error: unknown) => boolean
}

export interface IncomingRequest {
  readonly name: string
  readonly attributes: Attributes
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** Adds to what is known of a step; does nothing where nothing is recorded. */
export type Note = (attributes: Attributes) => void

const NOTHING: Note = () => {}

/**
 * Spans, made with whatever OpenTelemetry SDK is registered in the process: by the standalone server, or by the host.
 * What is done inside of something finds it by itself, wherever it is done: the API keeps that per chain of calls.
 */
export class Tracing {
  readonly #api: TracingApi
  readonly #tracer: Tracer

  constructor (api: TracingApi) {
    this.#api = api
    this.#tracer = api.trace.getTracer('fastify-oci-registry')
  }

  /** A request begins: below what its headers name, or what a host that traces by itself has begun for it. */
  request ({ name, attributes, headers }: IncomingRequest): RequestSpan {
    const { SpanKind, context, propagation, trace } = this.#api
    const current = context.active()
    const isInside = trace.getSpan(current) !== undefined
    const parent = isInside ? current : propagation.extract(current, headers)
    const span = this.#tracer.startSpan(name, { kind: isInside ? SpanKind.INTERNAL : SpanKind.SERVER, attributes }, parent)
    return new RequestSpan(this.#api, span, trace.setSpan(parent, span))
  }

  /**
   * Runs an operation as a step of what is going on. What belongs to nothing, such as the work that is done by the clock,
   * is not traced: each call of it would be a trace of its own. An answer that is there at once costs no promise.
   */
  step<T> (step: Step, operation: (note: Note) => T): T {
    const current = this.#api.context.active()
    if (this.#api.trace.getSpan(current)?.isRecording() !== true) return operation(NOTHING)
    return this.#run(step, current, operation)
  }

  /** Runs an operation as a step of something that went on earlier, or in another process. */
  resume<T> (of: TraceContext, step: Step, operation: (note: Note) => T): T {
    const spanContext = readTraceContext(of, this.#api)
    if (spanContext === undefined) return operation(NOTHING)
    return this.#run(step, this.#api.trace.setSpanContext(this.#api.ROOT_CONTEXT, spanContext), operation)
  }

  /** Adds to what is known of the current step. */
  note (attributes: Attributes): void {
    this.#api.trace.getSpan(this.#api.context.active())?.setAttributes(attributes)
  }

  /** The headers that tell somebody else of the current trace, for a request with undici. */
  headers (): Record<string, string> {
    const headers: Record<string, string> = {}
    // Whoever instruments undici adds them by himself, and headers that come twice are void.
    if (channel('undici:request:create').hasSubscribers) return headers
    const { ROOT_CONTEXT, context, propagation, trace } = this.#api
    const span = trace.getSpan(context.active())
    // Nothing else of the context: baggage is what a client said, and not for everybody.
    if (span !== undefined) propagation.inject(trace.setSpan(ROOT_CONTEXT, span), headers)
    return headers
  }

  /** Says of the current step that it failed; to be called when it may be over by then. */
  failure (): (error: unknown) => void {
    const span = this.#api.trace.getSpan(this.#api.context.active())
    return error => { if (span !== undefined) fail(this.#api, span, error) }
  }

  #run<T> ({ name, kind = 'internal', attributes = {}, isFault = () => true }: Step, parent: Context, operation: (note: Note) => T): T {
    const { SpanKind, context, trace } = this.#api
    const kinds: Readonly<Record<string, SpanKind>> = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT }
    const span = this.#tracer.startSpan(name, { kind: kinds[kind] ?? SpanKind.INTERNAL, attributes }, parent)
    const failed = (error: unknown): never => {
      if (isFault(error)) fail(this.#api, span, error)
      span.end()
      throw error
    }
    const ended = <V>(value: V): V => {
      span.end()
      return value
    }
    let result: T
    try {
      result = context.with(trace.setSpan(parent, span), () => operation(more => { span.setAttributes(more) }))
    } catch (error) {
      return failed(error)
    }
    return result instanceof Promise ? result.then(ended, failed) as T : ended(result)
  }
}

/** A request that is being answered. */
export class RequestSpan {
  readonly #api: TracingApi
  readonly #span: Span
  readonly #context: Context
  #hasFailed = false

  constructor (api: TracingApi, span: Span, context: Context) {
    this.#api = api
    this.#span = span
    this.#context = context
  }

  /** Under the names that log pipelines look for. */
  get ids (): { readonly trace_id: string, readonly span_id: string } {
    const { traceId, spanId } = this.#span.spanContext()
    return { trace_id: traceId, span_id: spanId }
  }

  /** For what happens because of the request when it is over. */
  get trace (): TraceContext {
    return traceContext(this.#span.spanContext())
  }

  /** What is called in there, and all that follows from it, is part of the request. */
  run<T> (operation: () => Eventually<T>): Eventually<T> {
    return this.#api.context.with(this.#context, operation)
  }

  note (attributes: Attributes): void {
    this.#span.setAttributes(attributes)
  }

  failed (error: unknown): void {
    this.#hasFailed = true
    fail(this.#api, this.#span, error)
  }

  /** It was answered; with a fault when that was an error of ours, whether or not one was thrown. */
  end (attributes: Attributes, fault: string | undefined): void {
    this.#span.setAttributes(attributes)
    if (fault !== undefined && !this.#hasFailed) this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR }).setAttribute('error.type', fault)
    this.#span.end()
  }
}

/** JavaScript lets anything be thrown. */
function fail ({ SpanStatusCode }: TracingApi, span: Span, error: unknown): void {
  const { message, name } = error instanceof Error ? error : { message: String(error), name: 'Error' }
  span.recordException(error instanceof Error ? error : { message, name })
  span.setStatus({ code: SpanStatusCode.ERROR, message })
  span.setAttribute('error.type', name)
}
