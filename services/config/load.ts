import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { configSchema } from '../../schemas/config/index.js'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { ConfigError } from '../errors/config-error.js'
import { coerce, plainValue } from './coerce.js'
import { overlayArgument, overlayEnvironment } from './environment.js'
import { maintenanceProblems } from './maintenance.js'
import { parseConfig } from './parse.js'
import { parseRaw, rawMap } from './raw.js'
import type { Origin, RawMap, RawNode } from './raw.js'

/** What the standalone server runs with when it is given no file. */
const BUILT_IN = `
version: 0.1
storage:
  filesystem:
    rootdirectory: ./data
  delete:
    enabled: true
`

export interface ConfigSources {
  /** The command line's file; without one the variable REGISTRY_CONFIGURATION_PATH may name it. */
  readonly file?: string | undefined
  readonly environment: NodeJS.ProcessEnv
  /** `key=value` from the command line. */
  readonly settings?: readonly string[]
  /** Makes a key that does not exist an error. */
  readonly strict?: boolean
}

export interface LoadedConfig {
  readonly config: RegistryConfig
  /** Variables and keys that mean nothing. */
  readonly warnings: readonly string[]
  /** Where values were written, by path; what is not here is a default. */
  readonly origins: ReadonlyMap<string, Origin>
  /** Directory of the file; the working directory where there is none. */
  readonly directory: string
}

/**
 * Reads the configuration of the standalone server: the file, over it the environment, over it the command line.
 *
 * @throws {ConfigError} with one line for everything that is wrong
 */
export async function loadConfig ({ file, environment, settings = [], strict = false }: ConfigSources): Promise<LoadedConfig> {
  const path = file ?? environment['REGISTRY_CONFIGURATION_PATH']
  const root = path === undefined ? asMap(parseRaw(BUILT_IN, () => 'built in')) : await readConfigFile(path)
  const warnings = overlayEnvironment(root, configSchema, environment)
  for (const setting of settings) overlayArgument(root, configSchema, setting)
  const refused = refuseMaintenance(root)
  const { value, problems, unknown, origins } = coerce(root, configSchema)
  problems.push(...refused)
  if (strict) problems.push(...unknown)
  const config = parseOrCollect(value, problems, unknown)
  return { config, warnings: [...warnings, ...unknown], origins, directory: resolve(path === undefined ? '.' : dirname(path)) }
}

/** All at once: what had no value of its type, what is wrong with the rest, and keys that may be misspelt. */
function parseOrCollect (value: unknown, problems: readonly string[], unknown: readonly string[]): RegistryConfig {
  try {
    const config = parseConfig(withOldNames(value))
    if (problems.length === 0) return config
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(unique([...problems, ...error.lines, ...unknown]), { cause: error })
  }
  throw new ConfigError(unique([...problems, ...unknown]))
}

/** What is wrong with `storage.maintenance` as docker's registry says it; that is taken out, so that nobody says it again. */
function refuseMaintenance (root: RawMap): string[] {
  const storage = root.entries.get('storage')
  const maintenance = storage?.kind === 'map' ? storage.entries.get('maintenance') : undefined
  if (maintenance?.kind !== 'map') return []
  const { lines, keys } = maintenanceProblems(plainValue(maintenance), { complete: true })
  for (const key of keys) maintenance.entries.delete(key)
  return lines.map(line => `${line} (${maintenance.origin})`)
}

function unique (lines: readonly string[]): string[] {
  return [...new Set(lines)]
}

/** `loglevel` counts where `log.level` is not given. */
function withOldNames (value: unknown): unknown {
  const { loglevel, log, ...rest } = value as { loglevel?: string, log?: { level?: string } }
  return loglevel === undefined ? value : { ...rest, loglevel, log: { level: loglevel.toLowerCase(), ...log } }
}

async function readConfigFile (path: string): Promise<RawMap> {
  const root = parseRaw(await readText(path), line => `${path}:${line}`)
  if (root.kind !== 'map') throw new ConfigError(`${path}: a map of keys is needed, version and storage among them`)
  if (!root.entries.has('version')) throw new ConfigError(`${path}: version is missing, for example version: 0.1`)
  return root
}

async function readText (path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, { cause: error })
  }
}

function asMap (node: RawNode): RawMap {
  return node.kind === 'map' ? node : rawMap(node.origin)
}
