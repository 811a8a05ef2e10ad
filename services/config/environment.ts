import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { envSchema as EnvSchema } from 'env-schema'
import { ConfigError } from '../errors/config-error.js'
import { parseRaw, rawMap, rawScalar } from './raw.js'
import type { RawMap, RawNode } from './raw.js'
import { childSchema, takesOneWord } from './schema-node.js'
import type { SchemaNode } from './schema-node.js'

const PREFIX = 'REGISTRY_'
/** The names that docker's registry takes from its code rather than from its format; both are understood. */
const ALIASES: Readonly<Record<string, string>> = {
  'notifications.eventconfig': 'events',
  'health.filecheckers': 'file',
  'health.httpcheckers': 'http',
  'health.tcpcheckers': 'tcp',
  'log.hooks.mailoptions': 'options',
  'redis.options': ''
}
/** Variables of this prefix that are no part of the configuration. */
const OTHERS = new Set(['REGISTRY_CONFIGURATION_PATH', 'REGISTRY_VERSION'])

/**
 * Lays the variables `REGISTRY_…` over a configuration, in the order of their names: each segment is a key or the index
 * of a list, the value is YAML. `…_FILE` reads a text from a file. Returns a warning for every variable that means
 * nothing here; that is never an error, because Kubernetes sets such variables for its own services.
 *
 * @throws {ConfigError} when a value is no YAML, an index is out of bounds or a file cannot be read
 */
export function overlayEnvironment (root: RawMap, schema: SchemaNode, environment: NodeJS.ProcessEnv): string[] {
  const warnings: string[] = []
  for (const [name, text] of variables(environment)) {
    const overlay = new Overlay(name, text, schema)
    if (!overlay.apply(root, name.slice(PREFIX.length).split('_'))) warnings.push(`ignoring unrecognized environment variable ${name}`)
  }
  return warnings
}

/** Lays `http.addr=:5001` of the command line over it all. @throws {ConfigError} when there is no such key */
export function overlayArgument (root: RawMap, schema: SchemaNode, argument: string): void {
  const equals = argument.indexOf('=')
  const path = argument.slice(0, equals)
  const overlay = new Overlay(`--set ${path}`, argument.slice(equals + 1), schema)
  if (equals < 1 || !overlay.apply(root, path.split('.'))) throw new ConfigError(`--set ${argument}: key=value is needed, with a key such as http.addr`)
}

function variables (environment: NodeJS.ProcessEnv): Array<[string, string]> {
  if (!Object.keys(environment).some(name => name.startsWith(PREFIX))) return []
  // Loaded when there is something to read: it takes as long to load as a tenth of the registry.
  const envSchema = createRequire(import.meta.url)('env-schema') as typeof EnvSchema
  const schema = { type: 'object', patternProperties: { [`^${PREFIX}`]: { type: 'string' } }, additionalProperties: false }
  const read = envSchema<Record<string, string>>({ schema, data: environment, env: false })
  return Object.entries(read).filter(([name]) => name.startsWith(PREFIX) && !OTHERS.has(name)).sort(([a], [b]) => a < b ? -1 : 1)
}

/** One variable on its way into the configuration. */
class Overlay {
  readonly #name: string
  readonly #text: string
  readonly #schema: SchemaNode

  constructor (name: string, text: string, schema: SchemaNode) {
    this.#name = name
    this.#text = text
    this.#schema = schema
  }

  /** False when the name leads nowhere. */
  apply (root: RawMap, segments: readonly string[]): boolean {
    const steps = resolve(segments, this.#schema, root, [])
    if (steps !== undefined) {
      this.#set(root, steps, parseRaw(this.#text, () => this.#name))
      return true
    }
    if (segments.at(-1) !== 'FILE') return false
    const secret = resolve(segments.slice(0, -1), this.#schema, root, [])
    if (secret === undefined || schemaAt(this.#schema, secret).type !== 'string') return false
    this.#set(root, secret, rawScalar(this.#readFile(), this.#name))
    return true
  }

  #set (root: RawMap, path: readonly string[], value: RawNode): void {
    const [last = ''] = path.slice(-1)
    let node: RawNode = root
    for (const [depth, key] of path.slice(0, -1).entries()) node = this.#child(node, key, path.slice(0, depth + 1), path[depth + 1] ?? '')
    this.#put(node, last, value, path)
  }

  /** The node below a key, made when it is missing, or only a word so far. */
  #child (node: RawNode, key: string, path: readonly string[], next: string): RawNode {
    const known = get(node, key)
    const isList = schemaAt(this.#schema, path).type === 'array'
    if (known !== undefined && known.kind === (isList ? 'list' : 'map')) return known
    const word = known?.kind === 'scalar' && takesOneWord(path) && !known.isNull && known.text !== next ? [[known.text, rawMap(known.origin)] as const] : []
    const made: RawNode = isList ? { kind: 'list', items: [], origin: this.#name } : rawMap(this.#name, word)
    this.#put(node, key, made, path)
    return made
  }

  #put (node: RawNode, key: string, value: RawNode, path: readonly string[]): void {
    if (node.kind === 'map') {
      node.entries.set(key, value)
    } else if (node.kind === 'list') {
      const index = Number(key)
      if (index > node.items.length) throw new ConfigError(`${this.#name}: undefined index ${key}: ${path.slice(0, -1).join('.')} has ${node.items.length} entries`)
      node.items[index] = value
    }
  }

  #readFile (): string {
    try {
      return readFileSync(this.#text, 'utf8').replace(/\r?\n$/, '')
    } catch (error) {
      throw new ConfigError(`${this.#name}: cannot read ${this.#text} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, { cause: error })
    }
  }
}

/**
 * Finds the keys that the segments of a name mean, longest first, because keys may contain `_` themselves. Undefined
 * when there is no such key.
 */
function resolve (segments: readonly string[], schema: SchemaNode, node: RawNode | undefined, path: readonly string[]): string[] | undefined {
  if (segments.length === 0) return path.length === 0 ? undefined : [...path]
  const lengths = segments.map((_, i) => segments.length - i)
  // A name from the code of docker's registry is one segment, and is no part of a longer key.
  if (aliasOf(segments[0] ?? '', path) !== undefined) lengths.unshift(1)
  for (const taken of lengths) {
    const word = segments.slice(0, taken).join('_')
    const rest = segments.slice(taken)
    for (const key of keysFor(word, schema, node, path)) {
      const child = key === '' ? schema : schema.type === 'array' ? schema.items ?? {} : childSchema(schema, key) ?? {}
      const found = resolve(rest, child, key === '' ? node : node === undefined ? undefined : get(node, key), key === '' ? path : [...path, key])
      if (found !== undefined && found.length > path.length) return found
    }
  }
  return undefined
}

/** The keys one word may stand for in a map, or the index it is in a list. */
function keysFor (word: string, schema: SchemaNode, node: RawNode | undefined, path: readonly string[]): string[] {
  if (schema.type === 'array') return /^\d{1,4}$/.test(word) ? [word] : []
  const lower = word.toLowerCase()
  const alias = aliasOf(word, path)
  if (alias !== undefined) return [alias]
  const declared = Object.keys(schema.properties ?? {}).filter(key => key.toLowerCase() === lower)
  if (declared.length > 0) return declared
  if (schema.additionalProperties === undefined || schema.additionalProperties === false) return schema.type === undefined ? [lower] : []
  const present = node?.kind === 'map' ? [...node.entries.keys()].filter(key => key.toLowerCase() === lower) : []
  return present.length > 0 ? present : [lower]
}

function aliasOf (word: string, path: readonly string[]): string | undefined {
  return ALIASES[[...path.filter(key => !/^\d+$/.test(key)), word.toLowerCase()].join('.')]
}

function get (node: RawNode, key: string): RawNode | undefined {
  if (node.kind === 'map') return node.entries.get(key)
  return node.kind === 'list' ? node.items[Number(key)] : undefined
}

function schemaAt (schema: SchemaNode, path: readonly string[]): SchemaNode {
  return path.reduce<SchemaNode>((at, key) => at.type === 'array' ? at.items ?? {} : childSchema(at, key) ?? {}, schema)
}
