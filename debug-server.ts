import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import Fastify, { LogController } from 'fastify'
import { listen } from './listen.js'
import type { RegistryHandle } from './registry.js'
import { parseAddress } from './services/config/address.js'
import type { ListenAddress } from './services/config/address.js'
import { processVariables } from './services/debug/process-variables.js'
import { summed } from './services/debug/variables.js'
import type { Workers } from './services/workers/workers.js'

const TOPIC = 'debug.variables'

export interface DebugServerOptions {
  /** `http.debug.addr` */
  readonly addr: string
  readonly workers: Workers
  readonly logger: FastifyBaseLogger
}

/**
 * The operator's own port: what must not be seen by those whom the registry serves. Of several processes the leader
 * opens it, and shows the numbers of all.
 */
export class DebugServer {
  readonly #address: ListenAddress
  readonly #workers: Workers
  readonly #logger: FastifyBaseLogger
  #server: FastifyInstance | undefined

  /** @throws {ConfigError} when the address is none */
  constructor ({ addr, workers, logger }: DebugServerOptions) {
    this.#address = parseAddress(addr, 'tcp', 'http.debug.addr')
    this.#workers = workers
    this.#logger = logger
  }

  /** Opens it now, or when this process comes to lead. @throws {ConfigError} when the address cannot be listened on */
  async open ({ debug }: RegistryHandle): Promise<void> {
    this.#workers.subscribe(TOPIC, () => debug.read())
    if (this.#workers.leads) return await this.#listen(debug)
    this.#workers.onLead(() => {
      this.#listen(debug).catch((error: unknown) => { this.#logger.error({ err: error }, 'the debug server cannot be opened') })
    })
  }

  async close (): Promise<void> {
    await this.#server?.close()
  }

  async #listen (debug: RegistryHandle['debug']): Promise<void> {
    const server: FastifyInstance = Fastify({ loggerInstance: this.#logger, logController: new LogController({ disableRequestLogging: true }), forceCloseConnections: true })
    server.get('/debug/vars', async () => {
      const others = await this.#workers.broadcast(TOPIC, null)
      return { ...processVariables(), registry: summed([debug.read(), ...others]) }
    })
    this.#server = server
    await listen(server, this.#address, url => `debug server listens on ${url}`, 'http.debug.addr')
  }
}
