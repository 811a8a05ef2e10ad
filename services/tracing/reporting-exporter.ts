import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { Log } from '../log/log.js'

export interface ExportCounts {
  /** Spans that the collector has taken. */
  readonly exported: number
  /** Spans that are lost, because it did not. */
  readonly lost: number
  readonly lastError?: string
}

type Result = Parameters<Parameters<SpanExporter['export']>[1]>[0]

/** Says once that the collector takes nothing, and once that it does again, however long that is. */
export class ReportingExporter implements SpanExporter {
  readonly #inner: SpanExporter
  readonly #log: Log
  readonly #counts: { exported: number, lost: number, lastError?: string } = { exported: 0, lost: 0 }
  #isFailing = false

  constructor (inner: SpanExporter, log: Log) {
    this.#inner = inner
    this.#log = log
  }

  get counts (): ExportCounts {
    return { ...this.#counts }
  }

  export (spans: ReadableSpan[], done: (result: Result) => void): void {
    this.#inner.export(spans, result => {
      if (result.code === 0) this.#succeeded(spans.length)
      else this.#failed(spans.length, result.error)
      done(result)
    })
  }

  async forceFlush (): Promise<void> {
    await this.#inner.forceFlush?.()
  }

  async shutdown (): Promise<void> {
    await this.#inner.shutdown()
  }

  #succeeded (spans: number): void {
    this.#counts.exported += spans
    if (this.#isFailing) this.#log.info('traces are sent again')
    this.#isFailing = false
  }

  #failed (spans: number, error: Error | undefined): void {
    const reason = error === undefined || error.message === '' ? 'no reason is known' : error.message
    this.#counts.lost += spans
    this.#counts.lastError = reason
    if (!this.#isFailing) this.#log.warn(`traces cannot be sent and are lost until they can: ${reason}`)
    this.#isFailing = true
  }
}
