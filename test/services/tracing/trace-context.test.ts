import * as api from '@opentelemetry/api'
import t from 'tap'
import { readTraceContext, traceContext } from '../../../services/tracing/trace-context.js'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const SPAN_ID = 'b7ad6b7169203331'

t.test('what is written is read again, with the state of others', t => {
  const written = traceContext({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, traceState: api.createTraceState('a=1,b=2') })
  t.same(written, { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`, tracestate: 'a=1,b=2' })
  const read = readTraceContext(written, api)
  t.match(read, { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true })
  t.equal(read?.traceState?.serialize(), 'a=1,b=2')
  t.same(traceContext({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 0 }), { traceparent: `00-${TRACE_ID}-${SPAN_ID}-00` })
  t.end()
})

t.test('what names no trace is none, and a later version is understood as far as it goes', t => {
  for (const traceparent of [undefined, '', 'x', `ff-${TRACE_ID}-${SPAN_ID}-01`, `00-${'0'.repeat(32)}-${SPAN_ID}-01`, `00-${TRACE_ID}-${'0'.repeat(16)}-01`, `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`]) {
    t.equal(readTraceContext(traceparent === undefined ? {} : { traceparent }, api), undefined)
  }
  t.match(readTraceContext({ traceparent: `01-${TRACE_ID}-${SPAN_ID}-01-more` }, api), { traceId: TRACE_ID })
  t.end()
})
