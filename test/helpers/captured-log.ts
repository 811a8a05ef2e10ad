import { pino } from 'pino'
import type { Logger } from 'pino'

export interface LogLine { readonly level: number, readonly msg?: string, readonly [field: string]: unknown }

/** A logger that keeps everything, trace included, for a test to read. */
export class CapturedLog {
  readonly logger: Logger
  text = ''
  #wake: () => void = () => {}

  constructor () {
    this.logger = pino({ level: 'trace' }, { write: (line: string) => { this.text += line; this.#wake() } })
  }

  /** Waits until the log has such a message. */
  async logged (message: string): Promise<void> {
    while (!this.lines.some(({ msg }) => msg === message)) await new Promise<void>(resolve => { this.#wake = resolve })
  }

  get lines (): LogLine[] {
    return this.text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as LogLine)
  }

  /** The audit's entries, in order. */
  get audit (): Array<Record<string, unknown>> {
    return this.lines.filter(({ msg }) => msg === 'audit').map(({ audit }) => audit as Record<string, unknown>)
  }
}
