/**
 * What an operator may look at while the registry runs, by concern: `redis`, `notifications`, `cache` … Each concern
 * publishes a function that makes its value when somebody looks. Values are JSON, and hold no secrets.
 */
export class DebugVariables {
  readonly #published = new Map<string, () => unknown>()

  publish (name: string, read: () => unknown): void {
    this.#published.set(name, read)
  }

  /** All values as they are now, as the key `registry` of `/debug/vars` shows them. */
  read (): Record<string, unknown> {
    return Object.fromEntries([...this.#published].map(([name, read]) => [name, read()]))
  }
}

/**
 * The values of several processes in one: numbers are added up, maps are merged key by key, lists are joined; of
 * anything else the first one counts.
 */
export function summed (values: readonly unknown[]): unknown {
  const [first, ...rest] = values
  return rest.reduce<unknown>(add, first)
}

function add (a: unknown, b: unknown): unknown {
  if (typeof a === 'number' && typeof b === 'number') return a + b
  if (Array.isArray(a) && Array.isArray(b)) return [...a as unknown[], ...b as unknown[]]
  if (isMap(a) && isMap(b)) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)])
    return Object.fromEntries([...keys].map(key => [key, !(key in a) ? b[key] : key in b ? add(a[key], b[key]) : a[key]]))
  }
  return a
}

function isMap (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
