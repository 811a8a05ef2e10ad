const LEVELS: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warning', 50: 'error', 60: 'fatal' }

/** pino's JSON line, taken apart. */
function parse (line: string): { time: string, level: string, message: string, fields: Record<string, unknown> } {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  return { time: new Date(Number(time)).toISOString(), level: LEVELS[Number(level)] ?? 'info', message: String(msg ?? ''), fields }
}

/** `time="…" level=info msg="…" key=value`, the text format of docker's registry. */
export function formatText (line: string): string {
  const { time, level, message, fields } = parse(line)
  const all = Object.entries(fields).flatMap(([key, value]) => flatten(key, value))
  return `${[`time="${time}"`, `level=${level}`, `msg=${JSON.stringify(message)}`, ...all].join(' ')}\n`
}

/** The JSON that logstash expects. */
export function formatLogstash (line: string): string {
  const { time, level, message, fields } = parse(line)
  return `${JSON.stringify({ '@timestamp': time, '@version': '1', level, message, ...fields })}\n`
}

function flatten (key: string, value: unknown): string[] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([inner, child]) => flatten(`${key}.${inner}`, child))
  }
  return [`${key}=${typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value)}`]
}
