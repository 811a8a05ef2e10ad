import type { RegistryConfig } from '../../schemas/config/index.js'
import type { Origin } from './raw.js'
import { formatPath, isSecret } from './schema-node.js'

/**
 * The complete configuration as YAML, each value with the place it came from behind it, secrets masked. Made for
 * reading, and for `diff`.
 */
export function effectiveConfig (config: RegistryConfig, origins: ReadonlyMap<string, Origin>): string {
  return lines(config, [], origins).map(line => `${line}\n`).join('')
}

function lines (value: unknown, path: readonly string[], origins: ReadonlyMap<string, Origin>): string[] {
  const indent = '  '.repeat(Math.max(0, path.length - 1))
  const key = path.at(-1) ?? ''
  if (Array.isArray(value) && value.some(item => typeof item === 'object')) {
    return [`${indent}${key}:`, ...value.flatMap((item, i) => bulleted(lines(item, [...path, String(i)], origins).slice(1)))]
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
    const children = Object.entries(value).flatMap(([name, child]) => lines(child, [...path, name], origins))
    return path.length === 0 ? children : [`${indent}${key}:`, ...children]
  }
  const shown = isSecret(path) ? '"***"' : JSON.stringify(value)?.replace(CREDENTIALS, '//***@')
  return [`${indent}${key}: ${shown}  # ${originOf(path, origins)}`]
}

/** Name and password in a URL. */
const CREDENTIALS = /\/\/[^/@\s"]+@/g

/** The lines of an entry of a list: the first one with its dash. */
function bulleted ([first = '', ...rest]: readonly string[]): string[] {
  return [first.replace(/ {2}(?=\S)/, '- '), ...rest]
}

/** The place of the value itself, or of the word or list it was written in. */
function originOf (path: readonly string[], origins: ReadonlyMap<string, Origin>): Origin {
  return origins.get(formatPath(path)) ?? origins.get(formatPath([...path, '0'])) ?? 'default'
}
