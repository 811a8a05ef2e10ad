import { isBytes } from './bytes.js'
import { isDuration } from './duration.js'
import type { SchemaNode } from './schema-node.js'

/** What the configuration's schema means by `format`. */
export const CONFIG_FORMATS = { duration: isDuration, bytes: isBytes, workers: /^(?:auto|[1-9]\d{0,2})$/ }

type Values = Record<string, unknown>
type Schema = Readonly<Values>
/** Whether a value is what a keyword wants, which has `wanted` as its value. */
type Rule = (value: unknown, wanted: unknown, schema: Schema) => boolean

/**
 * Fills defaults into a configuration and says whether it is valid for sure. Ajv makes code for all 400 keys of the
 * schema before it looks at the ten that somebody set, which takes as long as loading Fastify; this looks at those ten.
 * Where it answers false, and for whatever a schema says that it does not know, Ajv is to be asked: it decides, and it
 * says what is wrong.
 */
export function fits (value: unknown, schema: SchemaNode): boolean {
  return holds(value, schema as Schema)
}

function holds (value: unknown, schema: Schema): boolean {
  if (TYPES[schema['type'] as string]?.(value) !== true) return false
  if (isMap(value)) fill(value, schema['properties'] as Readonly<Record<string, Schema>> | undefined)
  for (const keyword in schema) {
    const rule = RULES[keyword]
    if (rule === undefined || !rule(value, schema[keyword], schema)) return false
  }
  return true
}

/** What is missing gets a default of its own, before anything looks at it. */
function fill (map: Values, properties: Readonly<Record<string, Schema>> = {}): void {
  for (const key in properties) {
    if (map[key] === undefined && properties[key]?.['default'] !== undefined) map[key] = structuredClone(properties[key]['default'])
  }
}

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: value => typeof value === 'string',
  boolean: value => typeof value === 'boolean',
  integer: value => Number.isInteger(value),
  array: value => Array.isArray(value),
  object: isMap
}

const RULES: Readonly<Record<string, Rule>> = {
  // Looked at before all others, which rely on it.
  type: () => true,
  description: () => true,
  // Of a property; the map that it is missing in has filled it in.
  default: () => true,
  properties: (value, wanted) => Object.entries(wanted as Record<string, Schema>).every(([key, schema]) => (value as Values)[key] === undefined || holds((value as Values)[key], schema)),
  additionalProperties: (value, wanted, { properties = {} }) => wanted === true || Object.keys(value as object).every(key => Object.hasOwn(properties as object, key) || (wanted !== false && holds((value as Values)[key], wanted as Schema))),
  required: (value, wanted) => (wanted as string[]).every(key => (value as Values)[key] !== undefined),
  items: (value, wanted) => Array.from(value as unknown[]).every(item => holds(item, wanted as Schema)),
  minItems: (value, wanted) => (value as unknown[]).length >= Number(wanted),
  enum: (value, wanted) => (wanted as unknown[]).includes(value),
  const: (value, wanted) => value === wanted,
  format: (value, wanted) => conforms(value as string, CONFIG_FORMATS[wanted as keyof typeof CONFIG_FORMATS]),
  pattern: (value, wanted) => new RegExp(String(wanted), 'u').test(value as string),
  minLength: (value, wanted) => [...value as string].length >= Number(wanted),
  minimum: (value, wanted) => Number(value) >= Number(wanted),
  maximum: (value, wanted) => Number(value) <= Number(wanted),
  multipleOf: (value, wanted) => Number.isSafeInteger(Number(value) / Number(wanted))
}

function conforms (text: string, format: RegExp | ((text: string) => boolean) | undefined): boolean {
  return typeof format === 'function' ? format(text) : format?.test(text) ?? false
}

function isMap (value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
