import type { Origin, RawNode } from './raw.js'
import { childSchema, formatPath, isSecret, takesOneWord } from './schema-node.js'
import type { SchemaNode } from './schema-node.js'
import { nearest } from './suggest.js'

export interface Coerced {
  /** Plain values of the types the schema wants; what could not be understood is left out. */
  readonly value: unknown
  /** One line each: where, what is wrong, what was expected. */
  readonly problems: string[]
  /** One line for each key that does not exist. */
  readonly unknown: string[]
  /** Where each value was written, by its path. */
  readonly origins: Map<string, Origin>
}

/** Gives raw values the types of the schema, by the rules of the reference: the schema decides, not the look of the value. */
export function coerce (node: RawNode, schema: SchemaNode): Coerced {
  const coercion = new Coercion()
  return { value: coercion.visit(node, schema, []), problems: coercion.problems, unknown: coercion.unknown, origins: coercion.origins }
}

/** A value as YAML 1.1 takes it that has no schema: what looks like a boolean or a number is one. */
export function plainValue (node: RawNode): unknown {
  if (node.kind === 'list') return node.items.map(plainValue)
  if (node.kind === 'map') return Object.fromEntries([...node.entries].map(([key, child]) => [key, plainValue(child)]))
  if (node.isNull) return null
  return BOOLEANS.get(node.text) ?? (/^[-+]?[\d_]+(?:\.\d*)?$/.test(node.text) ? Number(node.text.replaceAll('_', '')) : node.text)
}

class Coercion {
  readonly problems: string[] = []
  readonly unknown: string[] = []
  readonly origins = new Map<string, Origin>()

  visit (node: RawNode, schema: SchemaNode, path: readonly string[]): unknown {
    this.origins.set(formatPath(path), node.origin)
    switch (schema.type) {
      case 'object': return this.#map(node, schema, path)
      case 'array': return this.#list(node, schema, path)
      case 'boolean': return this.#scalar(node, path, 'true or false', text => BOOLEANS.get(text))
      case 'integer': return this.#scalar(node, path, 'a whole number', text => /^[-+]?(?:\d[\d_]*|0x[\da-f]+|0o[0-7]+)$/i.test(text) ? Number(text.replaceAll('_', '').replace(/^\+/, '')) : undefined)
      case 'string': return this.#scalar(node, path, 'a text', text => text)
      default: return this.#free(node, path)
    }
  }

  #map (node: RawNode, schema: SchemaNode, path: readonly string[]): unknown {
    if (node.kind === 'scalar' && node.isNull) return {}
    if (node.kind === 'scalar' && takesOneWord(path)) {
      const map: RawNode = { kind: 'map', entries: new Map([[node.text, { kind: 'map', entries: new Map(), origin: node.origin }]]), origin: node.origin }
      return this.#map(map, schema, path)
    }
    if (node.kind !== 'map') return this.#refuse(node, path, 'a map of keys')
    const entries = [...node.entries].flatMap(([key, child]) => {
      const at = [...path, key]
      const of = childSchema(schema, key)
      if (of === undefined) return this.#miss(child, schema, at)
      // A key without a value says nothing, except that a map is there.
      if (child.kind === 'scalar' && child.isNull && of.type !== 'object') return []
      const value = this.visit(child, of, at)
      return value === undefined ? [] : [[key, value] as const]
    })
    return Object.fromEntries(entries)
  }

  #list (node: RawNode, schema: SchemaNode, path: readonly string[]): unknown {
    if (node.kind === 'scalar' && node.isNull) return undefined
    if (node.kind !== 'list') return this.#refuse(node, path, 'a list')
    return node.items.map((item, i) => this.visit(item, schema.items ?? {}, [...path, String(i)]))
  }

  #scalar<T> (node: RawNode, path: readonly string[], expected: string, read: (text: string) => T | undefined): T | undefined {
    const value = node.kind === 'scalar' ? read(node.text) : undefined
    return value === undefined ? this.#refuse(node, path, expected) : value
  }

  /** Parameters that no schema describes keep their texts: whoever reads them knows what they are (§1.1 of the reference's rules). */
  #free (node: RawNode, path: readonly string[]): unknown {
    if (node.kind === 'scalar') return node.isNull ? {} : node.text
    if (node.kind === 'list') return node.items.map((item, i) => this.visit(item, {}, [...path, String(i)]))
    return Object.fromEntries([...node.entries].map(([key, child]) => [key, this.visit(child, {}, [...path, key])]))
  }

  #refuse (node: RawNode, path: readonly string[], expected: string): undefined {
    const shown = node.kind !== 'scalar' ? `a ${node.kind}` : isSecret(path) ? '***' : JSON.stringify(node.text)
    this.problems.push(`${formatPath(path) || 'configuration'}: ${expected} is needed, not ${shown} (${node.origin})`)
    return undefined
  }

  #miss (node: RawNode, schema: SchemaNode, path: readonly string[]): never[] {
    const key = path.at(-1) ?? ''
    const meant = nearest(key, Object.keys(schema.properties ?? {}))
    const hint = meant === undefined ? '' : `; did you mean ${formatPath([...path.slice(0, -1), meant])}?`
    this.unknown.push(`${formatPath(path)}: there is no such key${hint} (${node.origin})`)
    return []
  }
}

/** The booleans of YAML 1.1. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'True', 'TRUE', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'y', 'Y'].map(text => [text, true] as const),
  ...['false', 'False', 'FALSE', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'n', 'N'].map(text => [text, false] as const)
])
