import { isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { ConfigError } from '../errors/config-error.js'
import { findMiddleware, isModulePath, knownMiddleware } from './catalogue.js'
import type { MiddlewareContext, MiddlewareFactory, MiddlewareKind, Middlewares } from './middleware.js'

const KINDS: readonly MiddlewareKind[] = ['storage', 'registry', 'repository']

/** The middlewares of a registry, in the order in which each is put in front of what is there: the last is outermost. */
export type LoadedMiddleware = { readonly [K in MiddlewareKind]: ReadonlyArray<Middlewares[K]> }

export interface LoadOptions {
  /** Directory that paths of modules are relative to. */
  readonly base: string
  readonly context: MiddlewareContext
}

/** One line for every entry with a name that nobody knows. Disabled entries are not looked at. */
export function middlewareProblems (config: RegistryConfig): string[] {
  return KINDS.flatMap(kind => config.middleware[kind].flatMap(({ name, disabled }, i) => {
    if (disabled || isModulePath(name) || findMiddleware(kind, name) !== undefined) return []
    const known = knownMiddleware(kind)
    const hint = known.length === 0 ? 'none is known' : `known are ${known.join(', ')}`
    return [`middleware.${kind}[${i}].name: there is no ${kind} middleware called ${JSON.stringify(name)}; ${hint}`]
  }))
}

/**
 * Makes the configured middlewares, in the order of the configuration, storage first.
 *
 * @throws {ConfigError} with one line for each that does not exist, cannot be loaded or refuses its options
 */
export async function loadMiddleware ({ base, context }: LoadOptions): Promise<LoadedMiddleware> {
  const problems = middlewareProblems(context.config)
  if (problems.length > 0) throw new ConfigError(problems)
  const load = async <K extends MiddlewareKind>(kind: K): Promise<Array<Middlewares[K]>> => {
    const made: Array<Middlewares[K]> = []
    for (const [i, { name, options = {}, disabled }] of context.config.middleware[kind].entries()) {
      if (disabled) continue
      const at = `middleware.${kind}[${i}]`
      try {
        const factory = findMiddleware(kind, name) ?? await loadModule<K>(at, name, base)
        made.push(checked(await factory(options, context)))
      } catch (error) {
        problems.push(...error instanceof ConfigError ? error.lines : [`${at} (${name}): ${oneLine(error)}`])
      }
    }
    return made
  }
  const loaded = { storage: await load('storage'), registry: await load('registry'), repository: await load('repository') }
  if (problems.length > 0) throw new ConfigError(problems)
  return loaded
}

/** @throws {ConfigError} when the module cannot be loaded or exports no function by default */
async function loadModule<K extends MiddlewareKind> (at: string, name: string, base: string): Promise<MiddlewareFactory<K>> {
  const url = name.startsWith('file:') ? name : pathToFileURL(isAbsolute(name) ? name : resolve(base, name)).href
  let loaded: { default?: unknown }
  try {
    loaded = await import(url) as { default?: unknown }
  } catch (error) {
    throw new ConfigError(`${at}.name: cannot load ${name} (${oneLine(error)})`, { cause: error })
  }
  if (typeof loaded.default !== 'function') throw new ConfigError(`${at}.name: ${name} does not export a function by default`)
  return loaded.default as MiddlewareFactory<K>
}

function checked<T> (middleware: T): T {
  if (typeof middleware !== 'function') throw new Error('its factory must return a function')
  return middleware
}

/** The first line says what is wrong; the rest, code frames and stacks, is not for the operator. */
function oneLine (error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  // Node adds from where in here it looked.
  return line === '' ? 'unknown error' : line.replace(/ imported from .*$/, '')
}
