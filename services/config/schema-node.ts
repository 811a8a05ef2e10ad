/** The parts of a JSON schema that reading a configuration looks at. */
export interface SchemaNode {
  readonly type?: string
  readonly format?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: boolean | SchemaNode
  readonly items?: SchemaNode
}

/**
 * What may be given as one word instead of a map: `storage: inmemory`, `auth: none`. The word is the key of a map
 * without entries.
 */
const ONE_WORD = new Set(['storage', 'auth'])

export function takesOneWord (path: readonly string[]): boolean {
  return path.length === 1 && ONE_WORD.has(path[0] ?? '')
}

/** The schema of a key; undefined for one that the map does not have. */
export function childSchema (schema: SchemaNode, key: string): SchemaNode | undefined {
  const own = schema.properties !== undefined && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
  if (own !== undefined) return own
  if (typeof schema.additionalProperties === 'object') return schema.additionalProperties
  return schema.additionalProperties === true ? {} : undefined
}

/** Keys that a user may not be shown the values of. */
const SECRET = /^(?:password|sentinelpassword|secret|secretkey|accesskey|sessiontoken|accountkey|connectionstring|authorization|token|credentials)$/i

export function isSecret (path: readonly string[]): boolean {
  // auth.token is the name of a kind of access control, and no token.
  return path.some((key, i) => SECRET.test(key) && !(key === 'token' && path[i - 1] === 'auth')) ||
    (path[0] === 'notifications' && path[3] === 'headers' && path.length > 4)
}

/** `notifications.endpoints[0].url` */
export function formatPath (path: readonly string[]): string {
  return path.reduce((text, key) => /^\d+$/.test(key) ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`, '')
}

/** A part of the configuration as it may be shown. */
export function masked (value: unknown, path: readonly string[] = []): unknown {
  if (isSecret(path)) return '***'
  if (Array.isArray(value)) return value.map((item, i) => masked(item, [...path, String(i)]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, masked(child, [...path, key])]))
}
