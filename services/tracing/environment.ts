/** Ways to send spans: those of the specification that have a package for Node. */
export type TraceExporter = 'http/protobuf' | 'http/json' | 'grpc' | 'console'
export type TracePropagator = 'tracecontext' | 'baggage'

export interface TelemetrySettings {
  readonly exporter: TraceExporter
  readonly propagators: readonly TracePropagator[]
}

/** What the environment asks for; no settings when it asks for nothing. What cannot be used is said, one line each. */
export interface AskedTelemetry {
  readonly settings: TelemetrySettings | undefined
  readonly warnings: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

const PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const

/**
 * Reads the `OTEL_…` variables that decide whether there is anything to do. As in docker's registry the environment and
 * nothing else says so; other than there, nothing is sent to an endpoint that nobody named. The SDK itself reads the
 * rest: sampler, limits, resource, headers and certificates.
 */
export function askedTelemetry (environment: Environment): AskedTelemetry {
  const value = (name: string): string | undefined => {
    const text = environment[name]?.trim()
    return text === '' ? undefined : text
  }
  const none = (...warnings: string[]): AskedTelemetry => ({ settings: undefined, warnings })
  if (value('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return none()
  const endpointName = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'].find(name => value(name) !== undefined)
  const [named, ...others] = (value('OTEL_TRACES_EXPORTER') ?? (endpointName === undefined ? 'none' : 'otlp')).split(',').map(name => name.trim())
  const warnings = others.length === 0 ? [] : [`OTEL_TRACES_EXPORTER: several exporters are not supported, traces go to ${named} only`]
  if (named === 'none') return none()
  if (named !== 'otlp' && named !== 'console') return none(`OTEL_TRACES_EXPORTER: ${JSON.stringify(named)} is none of otlp, console, none; nothing is traced`)
  if (named === 'otlp' && endpointName !== undefined && !isHttp(value(endpointName))) return none(`${endpointName}: is no URL with http:// or https://; nothing is traced`)
  const exporter = named === 'console' ? named : protocol(value, warnings)
  return { settings: { exporter, propagators: propagators(value('OTEL_PROPAGATORS'), warnings) }, warnings }
}

function protocol (value: (name: string) => string | undefined, warnings: string[]): TraceExporter {
  const name = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'].find(name => value(name) !== undefined)
  if (name === undefined) return 'http/protobuf'
  const known = PROTOCOLS.find(protocol => protocol === value(name))
  if (known === undefined) warnings.push(`${name}: ${JSON.stringify(value(name))} is none of ${PROTOCOLS.join(', ')}; using http/protobuf`)
  return known ?? 'http/protobuf'
}

function propagators (list = 'tracecontext,baggage', warnings: string[]): TracePropagator[] {
  const names = list.split(',').map(name => name.trim()).filter(name => name !== 'none' && name !== '')
  const unknown = names.filter(name => name !== 'tracecontext' && name !== 'baggage')
  if (unknown.length > 0) warnings.push(`OTEL_PROPAGATORS: ${unknown.join(', ')} not supported, only tracecontext and baggage`)
  return names.filter((name): name is TracePropagator => name === 'tracecontext' || name === 'baggage')
}

function isHttp (url: string | undefined): boolean {
  return url !== undefined && /^https?:\/\//i.test(url) && URL.canParse(url)
}
