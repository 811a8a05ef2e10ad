import type { SpanContext } from '@opentelemetry/api'
import type { TracingApi } from './tracing.js'

/** Where in which trace, in the words of W3C's headers. Both are missing where nothing is traced. */
export interface TraceContext {
  readonly traceparent?: string
  readonly tracestate?: string
}

/** Later versions may say more, and must be understood as far as that. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/

export function traceContext ({ traceId, spanId, traceFlags, traceState }: SpanContext): TraceContext {
  const tracestate = traceState?.serialize() ?? ''
  const flags = (traceFlags & 0xff).toString(16).padStart(2, '0')
  return { traceparent: `00-${traceId}-${spanId}-${flags}`, ...(tracestate === '' ? {} : { tracestate }) }
}

/** Undefined when it names no trace: it may have been written by another version, or by hand. */
export function readTraceContext ({ traceparent, tracestate }: TraceContext, { createTraceState, isSpanContextValid }: TracingApi): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  const spanContext = {
    traceId,
    spanId,
    traceFlags: parseInt(flags, 16),
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) })
  }
  return isSpanContextValid(spanContext) ? spanContext : undefined
}
