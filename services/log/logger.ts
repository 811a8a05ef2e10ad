import { fstatSync } from 'node:fs'
import { isatty } from 'node:tty'
import { pino } from 'pino'
import type { BaseLogger, Logger } from 'pino'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { instanceId } from '../instance.js'
import { packageVersion } from '../version.js'
import { errorRecord } from './error-text.js'
import { lineFormat } from './formats.js'
import type { Fields, Formatter, Level } from './formats.js'
import { ATOMIC_BYTES, LineOutput } from './line-output.js'
import { formatted } from './pino-lines.js'

/** Writes a line about a request, of which there are thousands; asks for its fields if the level is not too low. */
export interface WriteRequest {
  (level: Level, message: string, fields: () => Fields): void
  /** Whether lines of this level are written at present. */
  readonly writes: (level: Level) => boolean
}

/** The log of the standalone server. */
export interface StandaloneLog {
  readonly logger: Logger
  /** Past pino, which would write JSON for it that has to be read again. */
  readonly writeRequest: WriteRequest
  /** Of all lines. */
  readonly base: Fields
}

const FILE_BYTES = 64 * 1024

/** Opens the log on standard error; `fields` are put on every line beside the configured ones and those of the process. */
export function openLog ({ level, formatter, fields: configured }: RegistryConfig['log'], fields: Fields = {}): StandaloneLog {
  const destination = pino.destination({ dest: 2, sync: true, maxLength: 1024 * 1024 })
  // A disk that is full is no reason to serve nothing.
  destination.on('error', () => {})
  // What is appended to a file is not mixed up, however long it is.
  const output = new LineOutput(destination, fstatSync(2).isFile() ? FILE_BYTES : ATOMIC_BYTES)
  process.on('exit', () => { output.flush() })
  const base = { ...configured, ...fields, 'go.version': `node${process.versions.node}`, 'instance.id': instanceId, version: packageVersion }
  const format = lineFormat(formatterFor(formatter), base)
  const logger = pino({ level, base: null, serializers: { err: errorRecord } }, formatted(format, line => { output.write(line) }))
  const least = pino.levels.values[level] ?? 0
  const writes = (level: Level): boolean => severity(level) >= least
  const write = (level: Level, message: string, fields: () => Fields): void => {
    if (writes(level)) output.writeSoon(format({ time: Date.now(), level, message, fields: fields() }))
  }
  return { logger, base, writeRequest: Object.assign(write, { writes }) }
}

/** The same with any logger. */
export function writeWith (logger: Omit<BaseLogger, 'msgPrefix'>): WriteRequest {
  // A logger that is not pino may not tell its level.
  const writes = (level: Level): boolean => severity(level) >= (pino.levels.values[logger.level] ?? 0)
  const write = (level: Level, message: string, fields: () => Fields): void => {
    if (writes(level)) logger[pinoName(level)](fields(), message)
  }
  return Object.assign(write, { writes })
}

function severity (level: Level): number {
  return pino.levels.values[pinoName(level)] ?? 0
}

function pinoName (level: Level): Exclude<Level, 'warning'> | 'warn' {
  return level === 'warning' ? 'warn' : level
}

/** In colour where somebody looks, unless NO_COLOR or TERM say otherwise. */
function formatterFor (formatter: Exclude<Formatter, 'terminal'>): Formatter {
  return formatter === 'text' && isatty(2) && process.stderr.hasColors() ? 'terminal' : formatter
}
