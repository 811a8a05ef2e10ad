import { pino } from 'pino'
import type { Logger } from 'pino'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { formatLogstash, formatText } from './formats.js'

/** The log of the standalone server, on standard error; `fields` are put on every line beside the configured ones. */
export function createLogger ({ level, formatter, fields: configured }: RegistryConfig['log'], fields: object = {}): Logger {
  const destination = pino.destination({ dest: 2, sync: true })
  const options = { level, base: { ...configured, ...fields } }
  const format = FORMATTERS[formatter]
  return format === undefined ? pino({ ...options, ...JSON_LINES }, destination) : pino(options, { write: line => { destination.write(format(line)) } })
}

/** Levels and times as docker's registry writes them. */
const JSON_LINES = { formatters: { level: (label: string) => ({ level: label === 'warn' ? 'warning' : label }) }, timestamp: pino.stdTimeFunctions.isoTime }

const FORMATTERS: Readonly<Record<string, (line: string) => string>> = { text: formatText, logstash: formatLogstash }
