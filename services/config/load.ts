import { readFile } from 'node:fs/promises'
import { YAMLParseError, parse } from 'yaml'
import type { RegistryConfigInput } from '../../schemas/config.js'
import { ConfigError } from '../errors/config-error.js'

/** What `oci-registry serve` without a configuration file runs with. */
export const STANDALONE_DEFAULTS: RegistryConfigInput = {
  storage: { filesystem: { rootdirectory: './data' }, delete: { enabled: true } }
}

/** Reads a YAML configuration file; validation comes later. @throws {ConfigError} with file and line */
export async function loadConfigFile (path: string): Promise<unknown> {
  const text = await readText(path)
  let content: unknown
  try {
    content = parse(text)
  } catch (error) {
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined
    const reason = (error as Error).message.split('\n')[0]?.replace(/:$/, '')
    throw new ConfigError(`${path}${line === undefined ? '' : `:${line}`}: ${reason}`, { cause: error })
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new ConfigError(`${path}: not a configuration: a mapping of keys is needed`)
  }
  if (!('version' in content)) throw new ConfigError(`${path}: version is missing, for example version: 0.1`)
  const { storage, version } = content as { storage?: unknown, version: unknown }
  // YAML reads a bare 0.1 as a number, and `storage: inmemory` is a short form for a driver without parameters.
  return { ...content, version: String(version), ...(typeof storage === 'string' ? { storage: { [storage]: {} } } : expanded(storage)) }
}

/** `inmemory:` without a value is YAML's null and means no parameters. */
function expanded (storage: unknown): { storage?: unknown } {
  if (typeof storage !== 'object' || storage === null) return storage === undefined ? {} : { storage }
  return { storage: Object.fromEntries(Object.entries(storage).map(([key, value]) => [key, value ?? {}])) }
}

async function readText (path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, { cause: error })
  }
}
