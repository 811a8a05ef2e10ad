const LEVELS: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warning', 50: 'error', 60: 'fatal' }
// Fields that say nothing to a person, or are shown already.
const HIDDEN = new Set(['level', 'time', 'msg', 'pid', 'hostname'])

/** Turns one of pino's JSON lines into `time="…" level=info msg="…" key=value`, the text format of docker's registry. */
export function formatText (line: string): string {
  const entry = JSON.parse(line) as Record<string, unknown>
  const head = [
    `time="${new Date(Number(entry['time'])).toISOString()}"`,
    `level=${LEVELS[Number(entry['level'])] ?? 'info'}`,
    `msg=${JSON.stringify(entry['msg'] ?? '')}`
  ]
  const fields = Object.entries(entry).filter(([key]) => !HIDDEN.has(key)).flatMap(([key, value]) => flatten(key, value))
  return `${[...head, ...fields].join(' ')}\n`
}

function flatten (key: string, value: unknown): string[] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([inner, child]) => flatten(`${key}.${inner}`, child))
  }
  return [`${key}=${typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value)}`]
}
