import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Document, Node } from 'yaml'
import { ConfigError } from '../errors/config-error.js'

/** Where a value was written: `config.yml:12`, or the name of an environment variable. */
export type Origin = string

/**
 * A value before its type is known. Scalars keep the text as it was written, because the schema decides what it means:
 * `version: 0.1` and `password: 0123` are texts, `enabled: yes` is a boolean.
 */
export type RawNode = RawScalar | RawList | RawMap
export interface RawScalar { readonly kind: 'scalar', readonly text: string, readonly isNull: boolean, readonly origin: Origin }
export interface RawList { readonly kind: 'list', readonly items: RawNode[], readonly origin: Origin }
export interface RawMap { readonly kind: 'map', readonly entries: Map<string, RawNode>, readonly origin: Origin }

export function rawMap (origin: Origin, entries: Iterable<readonly [string, RawNode]> = []): RawMap {
  return { kind: 'map', entries: new Map(entries), origin }
}

export function rawScalar (text: string, origin: Origin): RawScalar {
  return { kind: 'scalar', text, isNull: false, origin }
}

/** Parses YAML. `originOf` names the place of a line. @throws {ConfigError} with the place and the reason */
export function parseRaw (text: string, originOf: (line: number) => Origin): RawNode {
  const lines = new LineCounter()
  // Merge keys and anchors are YAML 1.1, which the reference reads.
  const document = parseDocument(text, { lineCounter: lines, merge: true, version: '1.1', schema: 'failsafe', uniqueKeys: true })
  const [error] = document.errors
  const originAt = (offset: number): Origin => originOf(lines.linePos(offset).line)
  if (error !== undefined) throw new ConfigError(`${originAt(error.pos[0])}: ${error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? ''}`, { cause: error })
  return convert(document, document.contents, originAt)
}

function convert (document: Document, node: unknown, originAt: (offset: number) => Origin): RawNode {
  const origin = originAt((node as Node | null)?.range?.[0] ?? 0)
  if (isAlias(node)) {
    const target = node.resolve(document)
    if (target === undefined) throw new ConfigError(`${origin}: no anchor is called ${node.source}`)
    return convert(document, target, originAt)
  }
  if (isSeq(node)) return { kind: 'list', items: node.items.map(item => convert(document, item, originAt)), origin }
  if (isMap(node)) return mapOf(document, node.items, origin, originAt)
  if (isScalar(node)) {
    const text = String(node.source ?? node.value ?? '')
    const isPlain = node.type === 'PLAIN' || node.type === undefined
    return { kind: 'scalar', text, isNull: isPlain && /^(?:|~|null|Null|NULL)$/.test(text), origin }
  }
  return { kind: 'scalar', text: '', isNull: true, origin }
}

interface Pair { key: unknown, value: unknown }

function mapOf (document: Document, pairs: readonly Pair[], origin: Origin, originAt: (offset: number) => Origin): RawMap {
  const own = new Map<string, RawNode>()
  const merged = new Map<string, RawNode>()
  for (const { key, value } of pairs) {
    const name = isScalar(key) ? String(key.source ?? key.value) : String(key)
    const child = convert(document, value, originAt)
    if (name !== '<<') own.set(name, child)
    // The first of several merged maps wins, and the map's own keys win over all of them.
    else for (const map of child.kind === 'list' ? child.items : [child]) for (const [k, v] of map.kind === 'map' ? map.entries : []) if (!merged.has(k)) merged.set(k, v)
  }
  return { kind: 'map', entries: new Map([...merged, ...own]), origin }
}
