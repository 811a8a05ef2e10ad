import { resolve } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { Logger } from 'pino'
import type { RegistryConfig } from './schemas/config/index.js'
import { buildServer } from './server.js'
import { listen } from './listen.js'
import type { Command } from './services/commands/command.js'
import { parseAddress } from './services/config/address.js'
import { parseDuration } from './services/config/duration.js'
import { loadConfig } from './services/config/load.js'
import type { LoadedConfig } from './services/config/load.js'
import { serverTls } from './services/http/tls.js'
import { formatLogstash, formatText } from './services/log/formats.js'

/** `serve`: what the product is for. */
export const serveCommand: Command = {
  usage: 'serve [options]',
  summary: 'serve; without a file on 127.0.0.1:5000, data in ./data',
  async run (sources) {
    await serve(await loadConfig(sources))
    return undefined
  }
}

/**
 * Serves until a signal comes: the standalone server. Resolves when it listens.
 *
 * @throws {ConfigError} when the configuration cannot be used, the port is taken or the data directory unwritable
 */
export async function serve ({ config, warnings, directory }: LoadedConfig): Promise<void> {
  const { addr, net, tls } = config.http
  const address = parseAddress(addr, net)
  const secured = serverTls(tls)
  const logger = createLogger(config.log)
  for (const warning of warnings) logger.warn(warning)
  const app = buildServer({ ...config, baseDirectory: directory, logger, ...(secured === undefined ? {} : { tls: secured }) })
  // Before it listens: a signal may come as soon as somebody can know that it does.
  stopOnSignal(app, logger, parseDuration(config.http.draintimeout))
  await listen(app, address, url => `oci-registry listens on ${url}, data in ${dataLocation(config)}`)
}

/**
 * The first signal stops accepting, lets requests finish for the drain time, then cuts the connections; what uploads
 * received until then is made durable before the process ends. The second signal ends it at once.
 */
function stopOnSignal (app: FastifyInstance, logger: Logger, drainMs: number): void {
  let stopping = false
  // A longer timer would overflow and fire at once.
  const drain = Math.min(drainMs, 2 ** 31 - 1)
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1)
    stopping = true
    logger.info(`${signal}: stopping`)
    const cut = setTimeout(() => { app.server.closeAllConnections() }, drain)
    app.close().then(() => {
      clearTimeout(cut)
      logger.info('stopped')
      logger.flush()
      process.exitCode = 0
    }, error => {
      logger.error({ err: error }, 'could not stop cleanly')
      process.exitCode = 1
    })
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}

function createLogger ({ level, formatter, fields }: RegistryConfig['log']): Logger {
  const destination = pino.destination({ dest: 2, sync: true })
  const options = { level, base: fields }
  const format = FORMATTERS[formatter]
  return format === undefined ? pino(options, destination) : pino(options, { write: line => { destination.write(format(line)) } })
}

const FORMATTERS: Readonly<Record<string, (line: string) => string>> = { text: formatText, logstash: formatLogstash }

function dataLocation ({ storage }: RegistryConfig): string {
  return storage.filesystem === undefined ? 'memory' : resolve(storage.filesystem.rootdirectory)
}
