import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import Fastify, { LogController } from 'fastify'
import { listen } from './listen.js'
import type { RegistryHandle } from './registry.js'
import debugRoutes from './routes/debug.js'
import metricsRoute from './routes/metrics.js'
import { parseAddress } from './services/config/address.js'
import type { ListenAddress } from './services/config/address.js'
import type { MetricValues } from './services/metrics/registry-metrics.js'
import type { Workers } from './services/workers/workers.js'

const VARIABLES = 'debug.variables'
const HEALTH = 'debug.health'
const METRICS = 'debug.metrics'

export interface DebugServerOptions {
  /** `http.debug.addr` */
  readonly addr: string
  /** Where metrics are served; `http.debug.prometheus.path` */
  readonly metricsPath: string
  readonly workers: Workers
  readonly logger: FastifyBaseLogger
}

/**
 * The operator's own port: what must not be seen by those whom the registry serves. Of several processes the leader
 * opens it, and shows the numbers of all.
 */
export class DebugServer {
  readonly #address: ListenAddress
  readonly #options: DebugServerOptions
  #server: FastifyInstance | undefined

  /** @throws {ConfigError} when the address is none */
  constructor (options: DebugServerOptions) {
    this.#address = parseAddress(options.addr, 'tcp', 'http.debug.addr')
    this.#options = options
  }

  /** Opens it now, or when this process comes to lead. @throws {ConfigError} when the address cannot be listened on */
  async open (handle: RegistryHandle): Promise<void> {
    const { workers, logger } = this.#options
    workers.subscribe(VARIABLES, () => handle.debug.read())
    workers.subscribe(HEALTH, () => handle.health.failures())
    workers.subscribe(METRICS, async () => await handle.metrics?.read())
    if (workers.leads) return await this.#listen(handle)
    workers.onLead(() => {
      this.#listen(handle).catch((error: unknown) => { logger.error({ err: error }, 'the debug server cannot be opened') })
    })
  }

  async close (): Promise<void> {
    await this.#server?.close()
  }

  async #listen ({ debug, health, metrics }: RegistryHandle): Promise<void> {
    const { workers, logger, metricsPath } = this.#options
    const server: FastifyInstance = Fastify({ loggerInstance: logger, logController: new LogController({ disableRequestLogging: true }), forceCloseConnections: true, exposeHeadRoutes: false })
    await server.register(debugRoutes, {
      variables: async () => [debug.read(), ...await workers.broadcast(VARIABLES, null)],
      failures: async () => Object.assign({}, ...await workers.broadcast(HEALTH, null), health.failures()) as Record<string, string>
    })
    if (metrics !== undefined) {
      logger.info(`providing prometheus metrics on ${metricsPath}`)
      await server.register(metricsRoute, { path: metricsPath, read: async () => [await metrics.read(), ...await workers.broadcast(METRICS, null) as MetricValues[]] })
    }
    this.#server = server
    await listen(server, this.#address, url => `debug server listens on ${url}`, { key: 'http.debug.addr', exclusive: true })
  }
}
