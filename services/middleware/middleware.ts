import type { RegistryConfig } from '../../schemas/config/index.js'
import type { Log } from '../log/log.js'
import type { Namespace, Repository } from '../registry/types.js'
import type { StorageDriver } from '../storage/driver.js'

/** What a middleware of each kind stands in front of. */
export interface Decorated {
  storage: StorageDriver
  registry: Namespace
  repository: Repository
}
export type MiddlewareKind = keyof Decorated

/** The options of an entry as they are configured: in YAML every single value is a text. */
export type MiddlewareOptions = Readonly<Record<string, unknown>>

export interface MiddlewareContext {
  readonly log: Log
  /** All of the configuration, frozen. */
  readonly config: RegistryConfig
}

/** Puts something of the same interface in front of a driver: `driver => new Measured(driver)`. */
export type StorageMiddleware = (inner: StorageDriver) => StorageDriver | Promise<StorageDriver>
export type RegistryMiddleware = (inner: Namespace) => Namespace | Promise<Namespace>
/** Runs for every request on a repository, and so awaits nothing. */
export type RepositoryMiddleware = (inner: Repository) => Repository

export interface Middlewares {
  storage: StorageMiddleware
  registry: RegistryMiddleware
  repository: RepositoryMiddleware
}

/**
 * Makes a middleware of the options of its entry, once, when the registry starts. Whatever it throws keeps the registry
 * from starting, with one line that names the entry.
 */
export type MiddlewareFactory<K extends MiddlewareKind> = (options: MiddlewareOptions, context: MiddlewareContext) => Middlewares[K] | Promise<Middlewares[K]>

/** The text of an option. @throws {Error} when it is missing or something else */
export function textOption (options: MiddlewareOptions, name: string): string | undefined {
  const value = options[name]
  if (value !== undefined && typeof value !== 'string') throw new Error(`${name}: a text is needed, not ${JSON.stringify(value)}`)
  return value === '' ? undefined : value
}
