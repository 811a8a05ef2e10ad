import { jsonValue, quoted } from './printable.js'

/** Levels under the names that docker's registry writes. */
export type Level = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'fatal'
/** Values by name, in the order in which they are written; what is undefined is left out. */
export type Fields = Readonly<Record<string, unknown>>

/** A line of the log. `time` in milliseconds. */
export interface LogLine {
  readonly time: number
  readonly level: Level
  readonly message: string
  readonly fields: Fields
}

/** Writes a line, with its end. */
export type LineFormat = (line: LogLine) => string

/** `log.formatter`, and for `text` what a terminal shows. */
export type Formatter = 'text' | 'json' | 'logstash' | 'terminal'

/** The format of the name; `base` is put on every line. */
export function lineFormat (formatter: Formatter, base: Fields = {}): LineFormat {
  return FORMATS[formatter](base)
}

const FORMATS: Readonly<Record<Formatter, (base: Fields) => LineFormat>> = { text: textFormat, terminal: terminalFormat, json: jsonFormat, logstash: logstashFormat }

/** `time="…" level=info msg="…" key=value`: as docker's registry writes it, with quotes where they are needed. */
function textFormat (base: Fields): LineFormat {
  const tail = pairs(base)
  return ({ time, level, message, fields }) => `time="${timestamp(time)}" level=${level} msg=${textValue(message)}${pairs(fields)}${tail}\n`
}

/** Whatever of the base identifies the process says nothing to somebody who looks at its terminal. */
const OF_THE_PROCESS: ReadonlySet<string> = new Set(['go.version', 'instance.id', 'version'])
const COLOURS: Readonly<Record<Level, number>> = { trace: 90, debug: 90, info: 36, warning: 33, error: 31, fatal: 31 }

/** For people: the time of day, the level in colour, names of fields in grey. */
function terminalFormat (base: Fields): LineFormat {
  const grey = (key: string): string => ` \u001b[90m${key}=\u001b[39m`
  const tail = pairs(Object.fromEntries(Object.entries(base).filter(([key]) => !OF_THE_PROCESS.has(key))), grey)
  return ({ time, level, message, fields }) => {
    const shown = quoted(message).slice(1, -1).replaceAll('\\"', '"')
    return `\u001b[90m${timestamp(time).slice(11, 23)}\u001b[39m \u001b[${COLOURS[level]}m${level.toUpperCase().slice(0, 4)}\u001b[39m ${shown}${pairs(fields, grey)}${tail}\n`
  }
}

function jsonFormat (base: Fields): LineFormat {
  const tail = members(base, JSON_OWN)
  return ({ time, level, message, fields }) => `{"level":"${level}","msg":${quoted(message)},"time":"${timestamp(time)}"${members(fields, JSON_OWN)}${tail}}\n`
}

/** The JSON that logstash expects. */
function logstashFormat (base: Fields): LineFormat {
  const tail = members(base, LOGSTASH_OWN)
  return ({ time, level, message, fields }) => `{"@timestamp":"${timestamp(time)}","@version":"1","level":"${level}","message":${quoted(message)}${members(fields, LOGSTASH_OWN)}${tail}}\n`
}

const JSON_OWN: ReadonlySet<string> = new Set(['level', 'msg', 'time'])
const LOGSTASH_OWN: ReadonlySet<string> = new Set(['@timestamp', '@version', 'level', 'message'])

/** A field that is called as a part of the line is renamed, as in docker's registry. */
function members (fields: Fields, own: ReadonlySet<string>): string {
  let text = ''
  for (const key in fields) {
    const value = fields[key]
    if (value !== undefined) text += `,${quoted(own.has(key) ? `fields.${key}` : key)}:${jsonValue(value)}`
  }
  return text
}

function pairs (fields: Fields, shown: (key: string) => string = key => ` ${key}=`): string {
  let text = ''
  for (const key in fields) {
    const value = fields[key]
    if (value === undefined) continue
    text += isMap(value) ? pairs(prefixed(key, value), shown) : `${shown(TEXT_OWN.has(key) ? `fields.${key}` : textKey(key))}${textValue(value)}`
  }
  return text
}

const TEXT_OWN: ReadonlySet<string> = new Set(['time', 'level', 'msg'])

/** What docker's registry writes without quotes. */
const PLAIN = /^[\w./@^+-]+$/

function textValue (value: unknown): string {
  if (typeof value === 'string') return PLAIN.test(value) ? value : quoted(value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : quoted(jsonValue(value))
}

function textKey (key: string): string {
  return PLAIN.test(key) ? key : key.replace(/[^\w./@^+-]/g, '_')
}

function isMap (value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function prefixed (key: string, fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([inner, value]) => [`${key}.${inner}`, value]))
}

let millisecond = NaN
let shownMillisecond = ''

/** Made once for each millisecond: many lines have the same. */
function timestamp (time: number): string {
  if (time === millisecond) return shownMillisecond
  millisecond = time
  shownMillisecond = new Date(time).toISOString()
  return shownMillisecond
}
