import { AggregatorRegistry, Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { MetricObjectWithValues, MetricValue } from 'prom-client'

/** What crosses from one process to another: JSON. */
export type MetricValues = ReadonlyArray<MetricObjectWithValues<MetricValue<string>>>

/** Those of docker's registry. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const REQUEST_SECONDS = [...SECONDS, 25, 60]
const SIZES = Array.from({ length: 22 }, (_, n) => 1024 * 2 ** n)

/** A request that is over. Sizes in bytes, as far as they are known. */
export interface MeasuredRequest {
  readonly handler: string
  readonly method: string
  readonly status: number
  readonly seconds: number
  readonly received: number
  readonly sent: number
  /** The client went away before it had its answer. */
  readonly isAborted: boolean
}

/** A value of which somebody else keeps count, read when metrics are asked for. */
export interface Source {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly labels?: readonly string[]
  readonly read: () => ReadonlyArray<{ readonly labels?: Readonly<Record<string, string>>, readonly value: number }>
}

/** Metrics of one registry, under the names of docker's registry; what it does not have is ours. */
export class RegistryMetrics {
  readonly #registry = new Registry()
  readonly #inFlight: Gauge
  readonly #durations: Histogram
  readonly #requests: Counter
  readonly #requestSizes: Histogram
  readonly #responseSizes: Histogram
  readonly #received: Counter
  readonly #sent: Counter
  readonly #aborted: Counter
  readonly #storage: Histogram
  readonly #storageErrors: Counter

  /** `worker` labels what belongs to this process alone, where there are several. */
  constructor ({ worker }: { readonly worker?: number | undefined } = {}) {
    const registers = [this.#registry]
    const http = (name: string, help: string, labelNames: string[]): { name: string, help: string, labelNames: string[], registers: Registry[] } =>
      ({ name: `registry_http_${name}`, help, labelNames, registers })
    this.#inFlight = new Gauge(http('in_flight_requests', 'Requests that are being answered', ['handler']))
    this.#durations = new Histogram({ ...http('request_duration_seconds', 'Time from a request to the end of its answer', ['handler', 'method']), buckets: REQUEST_SECONDS })
    this.#requests = new Counter(http('requests_total', 'Requests that were answered', ['code', 'handler', 'method']))
    this.#requestSizes = new Histogram({ ...http('request_size_bytes', 'Sizes of request bodies', ['handler']), buckets: SIZES })
    this.#responseSizes = new Histogram({ ...http('response_size_bytes', 'Sizes of answers', ['handler']), buckets: SIZES })
    this.#received = new Counter(http('received_bytes_total', 'Bytes of request bodies', ['handler']))
    this.#sent = new Counter(http('sent_bytes_total', 'Bytes of answers', ['handler']))
    this.#aborted = new Counter(http('aborted_requests_total', 'Requests whose client went away before it had its answer', ['handler']))
    this.#storage = new Histogram({ name: 'registry_storage_action_seconds', help: 'Time that storage took for an action', labelNames: ['action', 'driver'], buckets: SECONDS, registers })
    this.#storageErrors = new Counter({ name: 'registry_storage_errors_total', help: 'Storage actions that failed; a path that is missing is no failure', labelNames: ['action', 'driver'], registers })
    collectDefaultMetrics({ register: this.#registry, ...(worker === undefined ? {} : { labels: { worker: String(worker) } }) })
    // Left out of a sum otherwise; with the worker's label there is nothing to add up.
    Object.assign(this.#registry.getSingleMetric('process_start_time_seconds') ?? {}, { aggregator: 'min' })
  }

  /** A request has come; to be followed by `finished`. */
  began (handler: string): void {
    this.#inFlight.inc({ handler })
  }

  finished ({ handler, method, status, seconds, received, sent, isAborted }: MeasuredRequest): void {
    this.#inFlight.dec({ handler })
    this.#durations.observe({ handler, method }, seconds)
    this.#requests.inc({ code: status, handler, method })
    this.#requestSizes.observe({ handler }, received)
    this.#responseSizes.observe({ handler }, sent)
    if (received > 0) this.#received.inc({ handler }, received)
    if (sent > 0) this.#sent.inc({ handler }, sent)
    if (isAborted) this.#aborted.inc({ handler })
  }

  stored (action: string, driver: string, seconds: number): void {
    this.#storage.observe({ action, driver }, seconds)
  }

  storageFailed (action: string, driver: string): void {
    this.#storageErrors.inc({ action, driver })
  }

  /** Shows what somebody else counts. */
  add ({ name, help, type, labels = [], read }: Source): void {
    const options = { name, help, labelNames: [...labels], registers: [this.#registry] }
    const metric = type === 'gauge' ? new Gauge({ ...options, collect }) : new Counter({ ...options, collect })
    function collect (): void {
      metric.reset()
      for (const { labels = {}, value } of read()) metric.inc(labels, value)
    }
  }

  /** All metrics of this process as they are now. */
  async read (): Promise<MetricValues> {
    return await this.#registry.getMetricsAsJSON()
  }
}

/** The text that Prometheus reads, of the metrics of all processes together. */
export async function exposition (ofAll: readonly MetricValues[]): Promise<string> {
  // Its types have lost the parameter.
  const aggregate = AggregatorRegistry.aggregate as unknown as (metrics: readonly MetricValues[]) => Registry
  return await aggregate(ofAll).metrics()
}

/** Of {@link exposition}. */
export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE
