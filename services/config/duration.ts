const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y

/** Whether the text is a duration as Go writes it, or a bare number of nanoseconds. */
export function isDuration (text: string): boolean {
  return read(text) !== undefined
}

/** What Go says of a text that is no duration, or is a bare number other than 0. */
export function durationProblem (text: string): string | undefined {
  const shown = JSON.stringify(text)
  let rest = text.replace(/^[-+]/, '')
  if (rest === '0') return undefined
  do {
    const [part = '', unit] = /^(?:\d+\.?\d*|\.\d+)([^.\d]*)/.exec(rest) ?? []
    if (unit === undefined) return `time: invalid duration ${shown}`
    if (unit === '') return `time: missing unit in duration ${shown}`
    if (!Object.hasOwn(UNITS, unit)) return `time: unknown unit ${JSON.stringify(unit)} in duration ${shown}`
    rest = rest.slice(part.length)
  } while (rest !== '')
  return undefined
}

/** A duration such as `1h30m` in milliseconds; a bare number is nanoseconds, as in the reference. The text was validated. */
export function parseDuration (text: string): number {
  return read(text) ?? NaN
}

function read (text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1
  const rest = text.replace(/^[-+]/, '')
  if (/^\d+$/.test(rest)) return sign * Number(rest) * 1e-6
  let total = 0
  PART.lastIndex = 0
  while (PART.lastIndex < rest.length) {
    const match = PART.exec(rest)
    if (match === null) return undefined
    total += Number(match[1]) * (UNITS[match[2] ?? ''] ?? NaN)
  }
  return rest === '' ? undefined : sign * total
}

/** Whole seconds as Go writes a duration: `24h0m0s`. */
export function formatDuration (ms: number): string {
  const seconds = Math.round(ms / 1000)
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return `${hours > 0 ? `${hours}h` : ''}${seconds >= 60 ? `${minutes}m` : ''}${seconds % 60}s`
}
