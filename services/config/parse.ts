import { Ajv } from 'ajv'
import type { ErrorObject } from 'ajv'
import { configSchema } from '../../schemas/config.js'
import type { RegistryConfig } from '../../schemas/config.js'
import { ConfigError } from '../errors/config-error.js'
import { parseDuration } from './duration.js'

const ajv = new Ajv({ useDefaults: true, allowUnionTypes: true })
const validate = ajv.compile<RegistryConfig>(configSchema)

/** Checks a configuration and fills in the defaults. The input is not changed. @throws {ConfigError} naming the key */
export function parseConfig (input: unknown): RegistryConfig {
  const config = copy(input)
  if (!validate(config)) throw new ConfigError(explain(validate.errors?.[0]))
  const { filesystem, inmemory } = config.storage
  if ((filesystem === undefined) === (inmemory === undefined)) {
    throw new ConfigError(`storage: exactly one driver is needed, ${filesystem === undefined ? 'none is given: filesystem or inmemory' : 'got filesystem and inmemory'}`)
  }
  parseDuration(config.http.draintimeout, 'http.draintimeout')
  const { host } = config.http
  if (host !== undefined && !URL.canParse(host)) throw new ConfigError(`http.host: not a URL: ${host}`)
  return config
}

function copy (input: unknown): unknown {
  try {
    return structuredClone(input ?? {})
  } catch (error) {
    throw new ConfigError('configuration: plain values are needed, objects of yours go into instances', { cause: error })
  }
}

function explain (error: ErrorObject | undefined): string {
  if (error === undefined) return 'invalid configuration'
  const at = error.instancePath.slice(1).replaceAll('/', '.')
  if (error.keyword === 'additionalProperties') {
    return `${[at, String(error.params['additionalProperty'])].filter(Boolean).join('.')}: unknown or not supported yet`
  }
  const allowed = error.keyword === 'enum' ? `: ${(error.params['allowedValues'] as string[]).join(', ')}` : ''
  const constant = error.keyword === 'const' ? ` ${String(error.params['allowedValue'])}` : ''
  return `${at === '' ? 'configuration' : at}: ${error.message ?? 'is invalid'}${allowed}${constant}`
}
