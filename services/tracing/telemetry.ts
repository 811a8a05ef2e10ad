import type { SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { Log } from '../log/log.js'
import { instanceId } from '../instance.js'
import { packageVersion } from '../version.js'
import { askedTelemetry } from './environment.js'
import type { TelemetrySettings, TraceExporter } from './environment.js'
import { hasProvider } from './registered.js'
import { ReportingExporter } from './reporting-exporter.js'
import type { ExportCounts } from './reporting-exporter.js'

export interface TelemetryOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly log: Log
  /** What is said of the environment is said once, not by every process. */
  readonly quiet: boolean
}

/** The OpenTelemetry SDK of the process. */
export interface Telemetry {
  readonly counts: () => ExportCounts
  /** Sends what is still to be sent, if that takes no longer than a moment; false if it did, and something is still under way. */
  stop (): Promise<boolean>
}

/** The stop of the server waits no longer for its traces. */
const STOP_MS = 1000

/**
 * Starts the SDK as the environment asks for it, for all that is done in this process. Undefined when it asks for
 * nothing, when what it asks for is not there, which is one line in the log, and when another SDK is registered already
 * (`node --import`).
 */
export async function startTelemetry ({ environment, log, quiet }: TelemetryOptions): Promise<Telemetry | undefined> {
  const { settings, warnings } = askedTelemetry(environment)
  const warn = (text: string): void => { if (!quiet) log.warn(text) }
  for (const warning of warnings) warn(warning)
  if (settings === undefined) return undefined
  try {
    return await start(settings, { log, warn })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    const [, name = 'of OpenTelemetry'] = /'((?:@[^/']+\/)?[^/']+)'/.exec((error as Error).message) ?? []
    warn(`traces are asked for by the environment, and the package ${name} is not installed: nothing is traced`)
    return undefined
  }
}

interface Parts { readonly log: Log, readonly warn: (text: string) => void }

async function start (settings: TelemetrySettings, { log, warn }: Parts): Promise<Telemetry | undefined> {
  const api = await import('@opentelemetry/api')
  if (hasProvider(api)) return undefined
  const [{ AsyncLocalStorageContextManager }, core, resources, sdk] = await Promise.all([
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/core'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-base')
  ])
  // The SDK says there what it makes of the environment, and later on the same of every failure.
  const say = (text: string): void => { warn(`OpenTelemetry: ${text}`) }
  api.diag.setLogger({ error: say, warn: say, info () {}, debug () {}, verbose () {} }, api.DiagLogLevel.WARN)
  const exporter = new ReportingExporter(await exporterOf(settings.exporter), log)
  const processor = settings.exporter === 'console' ? new sdk.SimpleSpanProcessor(exporter) : new sdk.BatchSpanProcessor(exporter)
  const resource = resources.defaultResource()
    .merge(resources.resourceFromAttributes({ 'service.name': 'distribution', 'service.version': packageVersion, 'service.instance.id': instanceId, 'process.pid': process.pid }))
    .merge(resources.detectResources({ detectors: [resources.envDetector] }))
  const provider = new sdk.BasicTracerProvider({ resource, spanProcessors: [processor] })
  api.diag.disable()
  const propagators = { tracecontext: () => new core.W3CTraceContextPropagator(), baggage: () => new core.W3CBaggagePropagator() }
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  api.propagation.setGlobalPropagator(new core.CompositePropagator({ propagators: settings.propagators.map(name => propagators[name]()) }))
  api.trace.setGlobalTracerProvider(provider)
  log.info(`requests are traced: ${settings.exporter}`)
  return { counts: () => exporter.counts, stop: async () => await inTime(provider.shutdown()) }
}

/** Each is a package of its own, loaded if it is asked for; that for gRPC is large, and to be installed by whoever wants it. */
async function exporterOf (name: TraceExporter): Promise<SpanExporter> {
  if (name === 'console') return new (await import('@opentelemetry/sdk-trace-base')).ConsoleSpanExporter()
  if (name === 'http/json') return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter()
  if (name === 'http/protobuf') return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter()
  const grpc = '@opentelemetry/exporter-trace-otlp-grpc'
  return new (await import(grpc) as { OTLPTraceExporter: new () => SpanExporter }).OTLPTraceExporter()
}

async function inTime (stopping: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>(resolve => { timer = setTimeout(() => { resolve(false) }, STOP_MS) })
  // Whatever it fails with has been reported, and changes nothing.
  const ended = stopping.then(() => true, () => true)
  const isOver = await Promise.race([ended, late])
  clearTimeout(timer)
  return isOver
}
