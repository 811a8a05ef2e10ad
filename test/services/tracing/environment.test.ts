import t from 'tap'
import { askedTelemetry } from '../../../services/tracing/environment.js'
import type { TraceExporter } from '../../../services/tracing/environment.js'

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

t.test('nothing is sent that nobody asked for', t => {
  for (const environment of [
    {},
    { OTEL_SERVICE_NAME: 'registry', OTEL_TRACES_SAMPLER: 'always_on' },
    { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://collector:4318' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' },
    { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' },
    { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }
  ]) t.same(askedTelemetry(environment), { settings: undefined, warnings: [] })
  t.end()
})

t.test('an exporter or an endpoint asks for traces; the protocol is that of traces, or that of all', t => {
  const cases: Array<[Record<string, string>, TraceExporter]> = [
    [ENDPOINT, 'http/protobuf'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector/traces' }, 'http/protobuf'],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http/protobuf'],
    [{ OTEL_TRACES_EXPORTER: 'console', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'console'],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'false', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, 'http/json'],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc' }, 'grpc']
  ]
  for (const [environment, exporter] of cases) t.same(askedTelemetry(environment), { settings: { exporter, propagators: ['tracecontext', 'baggage'] }, warnings: [] })
  t.end()
})

t.test('what cannot be used is named, and what can be is used', t => {
  const cases: Array<[Record<string, string>, boolean, RegExp]> = [
    [{ OTEL_TRACES_EXPORTER: 'jaeger' }, false, /^OTEL_TRACES_EXPORTER: "jaeger" is none of/],
    [{ OTEL_TRACES_EXPORTER: 'otlp,console', ...ENDPOINT }, true, /^OTEL_TRACES_EXPORTER: several/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, false, /^OTEL_EXPORTER_OTLP_ENDPOINT: is no URL/],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: '/v1/traces' }, false, /^OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: is no URL/],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'udp' }, true, /^OTEL_EXPORTER_OTLP_PROTOCOL: "udp" is none of .*; using http\/protobuf$/],
    [{ ...ENDPOINT, OTEL_PROPAGATORS: 'b3,tracecontext' }, true, /^OTEL_PROPAGATORS: b3 not supported/]
  ]
  for (const [environment, isOn, warning] of cases) {
    const { settings, warnings } = askedTelemetry(environment)
    t.equal(settings !== undefined, isOn)
    t.match(warnings, [warning])
  }
  t.same(askedTelemetry({ ...ENDPOINT, OTEL_PROPAGATORS: 'none' }).settings?.propagators, [])
  t.end()
})
