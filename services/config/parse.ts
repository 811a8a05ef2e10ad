import { isIP } from 'node:net'
import type { ErrorObject, ValidateFunction } from 'ajv'
import { configSchema } from '../../schemas/config/index.js'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { newAjv } from '../ajv.js'
import { ConfigError } from '../errors/config-error.js'
import { layerUrlProblems } from '../registry/layer-urls.js'
import { authProblems } from './auth-problems.js'
import { notificationProblems } from '../notifications/settings.js'
import { redisProblems } from '../redis/options.js'
import { CONFIG_FORMATS, fits } from './fits.js'
import { limitProblems } from './limit-problems.js'
import { maintenanceProblems } from './maintenance.js'
import { policyProblems } from './policy-problems.js'
import { azureProblems } from '../storage/azure-settings.js'
import { gcsProblems } from '../storage/gcs-settings.js'
import { s3Problems } from '../storage/s3-settings.js'
import { formatPath, isSecret } from './schema-node.js'
import type { SchemaNode } from './schema-node.js'
import { childSchema } from './schema-node.js'
import { nearest } from './suggest.js'
import { unsupported } from './supported.js'
import { workerCount } from './workers.js'

const DRIVERS = ['filesystem', 'inmemory', 's3', 's3aws', 'azure', 'gcs'] as const

/**
 * Checks a configuration and fills in the defaults. The input is not changed.
 *
 * @throws {ConfigError} with one line for everything that is wrong
 */
export function parseConfig (input: unknown): RegistryConfig {
  const config = copy(input)
  const { lines, keys } = maintenanceProblems((config as { storage?: { maintenance?: unknown } | null }).storage?.maintenance, { complete: false })
  if (!isValid(config)) {
    const errors = (compiled().errors ?? []).filter(({ instancePath }) => !keys.some(key => instancePath.startsWith(`/storage/maintenance/${key}`)))
    throw new ConfigError([...new Set([...errors.map(explain), ...lines, ...driverProblems(config)])])
  }
  const problems = [...lines, ...driverProblems(config), ...hostProblems(config), ...workerProblems(config), ...limitProblems(config.http.limits), ...authProblems(config), ...notificationProblems(config), ...redisProblems(config.redis), ...policyProblems(config), ...s3Problems(config.storage), ...azureProblems(config.storage), ...gcsProblems(config.storage), ...layerUrlProblems(config.validation.manifests.urls), ...unsupported(config)]
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** What is certainly right is not shown to Ajv: compiling the schema takes as long as loading Fastify. */
function isValid (config: unknown): config is RegistryConfig {
  return fits(config, configSchema) || compiled()(config)
}

let validate: ValidateFunction<RegistryConfig> | undefined

/** What decides in the end. Neither the schema of schemas nor shorter code is worth the time they cost; a test checks the schema. */
export function compiled (): ValidateFunction<RegistryConfig> {
  validate ??= newAjv({ meta: false, validateSchema: false, code: { optimize: false }, useDefaults: true, allErrors: true, verbose: true, formats: CONFIG_FORMATS }).compile<RegistryConfig>(configSchema)
  return validate
}

function copy (input: unknown): unknown {
  try {
    return structuredClone(input ?? {})
  } catch (error) {
    throw new ConfigError('configuration: plain values are needed, objects of yours go into instances', { cause: error })
  }
}

/** Also for what is not valid otherwise: a misspelt driver is to be reported as what it is. */
function driverProblems (config: unknown): string[] {
  const { storage } = config as { storage?: unknown }
  if (typeof storage !== 'object' || storage === null) return []
  const drivers = DRIVERS.filter(name => name in storage)
  if (drivers.length === 0) return ['storage: exactly one driver is needed, none is given: filesystem or inmemory']
  return drivers.length === 1 ? [] : [`storage: exactly one driver is needed, got ${drivers.join(' and ')}`]
}

function hostProblems ({ http: { host, trustedproxies } }: RegistryConfig): string[] {
  return [
    ...host === undefined || URL.canParse(host) ? [] : [`http.host: a URL is needed, not ${JSON.stringify(host)}`],
    ...trustedproxies.filter(proxy => !isNetwork(proxy)).map(proxy => `http.trustedproxies: an address or a network such as 10.0.0.0/8 is needed, not ${JSON.stringify(proxy)}`)
  ]
}

function isNetwork (text: string): boolean {
  const [address = '', bits = '1', ...rest] = text.split('/')
  const version = isIP(address)
  return version !== 0 && rest.length === 0 && /^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
}

function workerProblems ({ http: { workers }, storage }: RegistryConfig): string[] {
  if (storage.inmemory === undefined || workerCount(workers) === 1) return []
  return [`http.workers: storage.inmemory is the memory of one process, so there can be only 1, not ${JSON.stringify(workers)}`]
}

function explain (error: ErrorObject): string {
  const path = error.instancePath.split('/').slice(1).map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const at = formatPath(path) || 'configuration'
  const shown = isSecret(path) ? '***' : JSON.stringify(error.data)
  switch (error.keyword) {
    case 'additionalProperties': return unknownKey([...path, String(error.params['additionalProperty'])])
    case 'required': return `${formatPath([...path, String(error.params['missingProperty'])])}: is missing`
    case 'enum': return `${at}: one of ${(error.params['allowedValues'] as string[]).join(', ')} is needed, not ${shown}`
    case 'const': return `${at}: only ${String(error.params['allowedValue'])} is supported, not ${shown}`
    case 'type': return `${at}: ${NEEDED[String(error.params['type'])] ?? String(error.params['type'])} is needed, not ${shown}`
    case 'format': return `${at}: ${FORMATS[String(error.params['format'])] ?? ''} is needed, not ${shown}`
    default: return `${at}: ${error.message ?? 'is invalid'}, not ${shown}`
  }
}

const NEEDED: Readonly<Record<string, string>> = {
  string: 'a text', boolean: 'true or false', integer: 'a whole number', object: 'a map of keys', array: 'a list'
}

const FORMATS: Readonly<Record<string, string>> = {
  bytes: 'a number of bytes such as 512kB, 50MB or 1GiB',
  duration: 'a duration such as 300ms, 10s or 1h30m',
  workers: 'auto or a number of processes, at least 1'
}

function unknownKey (path: readonly string[]): string {
  const parents = path.slice(0, -1)
  const schema = parents.reduce<SchemaNode>((at, key) => at.type === 'array' ? at.items ?? {} : childSchema(at, key) ?? {}, configSchema)
  const meant = nearest(path.at(-1) ?? '', Object.keys(schema.properties ?? {}))
  return `${formatPath(path)}: there is no such key${meant === undefined ? '' : `; did you mean ${formatPath([...parents, meant])}?`}`
}
