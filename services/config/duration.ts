import { ConfigError } from '../errors/config-error.js'

const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A Go duration such as `1h30m` in milliseconds. @throws {ConfigError} naming the key */
export function parseDuration (text: string, key: string): number {
  if (text === '0') return 0
  let total = 0
  let rest = text
  do {
    const match = /^(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/.exec(rest)
    const unit = UNITS[match?.[2] ?? '']
    if (match === null || unit === undefined) throw new ConfigError(`${key}: not a duration such as 300ms, 10s or 1h30m: ${text}`)
    total += Number(match[1]) * unit
    rest = rest.slice(match[0].length)
  } while (rest !== '')
  return total
}
