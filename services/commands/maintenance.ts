import { pino } from 'pino'
import type { RegistryConfig } from '../../schemas/config/index.js'
import { loadConfig } from '../config/load.js'
import type { ConfigSources } from '../config/load.js'
import { configWarnings } from '../config/supported.js'
import { ConfigError } from '../errors/config-error.js'
import { DriverError } from '../errors/driver-error.js'
import { errorRecord } from '../log/error-text.js'
import { lineFormat } from '../log/formats.js'
import { formatted } from '../log/pino-lines.js'
import type { Log } from '../maintenance/log.js'
import { createDriver } from '../storage/create.js'
import type { StorageDriver } from '../storage/driver.js'
import { guarded } from '../storage/guarded.js'
import type { CommandOutput } from './command.js'

/** What a command gets that works on the storage of a configuration, whether or not a server runs on it. */
export interface StorageCommand {
  readonly config: RegistryConfig
  readonly driver: StorageDriver
  /** Warnings and errors, on standard error. */
  readonly log: Log
  /** Aborts when the user interrupts; a second interruption ends the process. */
  readonly signal: AbortSignal
}

/** Opens the configured storage for a command and closes it behind it. @throws {ConfigError} also when storage fails */
export async function onStorage<T> (sources: ConfigSources, { err }: CommandOutput, run: (command: StorageCommand) => Promise<T>): Promise<T> {
  const { config, warnings } = await loadConfig(sources)
  for (const warning of [...warnings, ...configWarnings(config)]) err.write(`oci-registry: warning: ${warning}\n`)
  const log = pino({ level: 'warn', base: null, serializers: { err: errorRecord } }, formatted(lineFormat('text'), line => { err.write(line) }))
  const controller = new AbortController()
  const interrupt = (): void => { controller.abort(new Interrupted()) }
  const driver = guarded(await createDriver(config.storage))
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  try {
    return await run({ config, driver, log, signal: controller.signal })
  } catch (error) {
    if (DriverError.is(error)) throw new ConfigError(`storage: ${error.message}`, { cause: error })
    throw error
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
    await driver.close()
  }
}

/** Why a command ends early: its user said so. */
export class Interrupted extends Error {
  constructor () {
    super('interrupted')
    this.name = 'Interrupted'
  }
}
