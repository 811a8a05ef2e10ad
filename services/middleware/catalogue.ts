import type { MiddlewareFactory, MiddlewareKind } from './middleware.js'
import { redirect } from './redirect.js'
import { rewrite } from './rewrite.js'

type Catalogue = { readonly [K in MiddlewareKind]: Map<string, MiddlewareFactory<K>> }

const catalogue: Catalogue = {
  storage: new Map<string, MiddlewareFactory<'storage'>>([['redirect', redirect], ['rewrite', rewrite]]),
  registry: new Map(),
  repository: new Map()
}

/**
 * Makes a middleware known by a name, for `middleware.<kind>[].name` of the configuration. To be called before the
 * registry is registered.
 *
 * @throws {Error} when the name is taken, or would be read as a path
 *
 * @example
 * registerMiddleware('storage', 'measured', ({ slow = '1s' }, { log }) => driver => new Measured(driver, String(slow), log))
 */
export function registerMiddleware<K extends MiddlewareKind> (kind: K, name: string, factory: MiddlewareFactory<K>): void {
  if (isModulePath(name) || name === '') throw new Error(`a middleware cannot be called ${JSON.stringify(name)}`)
  if (catalogue[kind].has(name)) throw new Error(`there is a ${kind} middleware called ${name} already`)
  catalogue[kind].set(name, factory)
}

export function knownMiddleware (kind: MiddlewareKind): string[] {
  return [...catalogue[kind].keys()].sort()
}

export function findMiddleware<K extends MiddlewareKind> (kind: K, name: string): MiddlewareFactory<K> | undefined {
  return catalogue[kind].get(name)
}

/** A name that begins as a path does is the path of a module. */
export function isModulePath (name: string): boolean {
  return /^(?:\.{0,2}\/|file:)/.test(name)
}
