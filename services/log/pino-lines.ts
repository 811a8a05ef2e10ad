import type { Level, LineFormat } from './formats.js'

const LEVELS: Readonly<Record<number, Level>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warning', 50: 'error', 60: 'fatal' }

/** What pino writes its lines of JSON to, to have them in another format. */
export function formatted (format: LineFormat, write: (line: string, level: Level) => void): { write (line: string): void } {
  return {
    write (json) {
      const { time, level: number, msg, ...fields } = JSON.parse(json) as Record<string, unknown>
      const level = LEVELS[Number(number)] ?? 'info'
      write(format({ time: Number(time), level, message: String(msg ?? ''), fields }), level)
    }
  }
}
