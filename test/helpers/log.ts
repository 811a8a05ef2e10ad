import { pino } from 'pino'
import type { Logger } from 'pino'

/** A logger, and the messages it was given: `info: Starting …`. */
export function recordingLog (): { readonly log: Logger, readonly lines: string[] } {
  const lines: string[] = []
  const write = (line: string): void => {
    const { level, msg } = JSON.parse(line) as { level: number, msg: string }
    lines.push(`${pino.levels.labels[level] ?? String(level)}: ${msg}`)
  }
  return { log: pino({ level: 'debug' }, { write }), lines }
}
