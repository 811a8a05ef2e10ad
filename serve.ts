import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { RegistryHandle } from './registry.js'
import { buildServer } from './server.js'
import { listen } from './listen.js'
import type { Command } from './services/commands/command.js'
import { parseAddress } from './services/config/address.js'
import { parseDuration } from './services/config/duration.js'
import { loadConfig } from './services/config/load.js'
import type { LoadedConfig } from './services/config/load.js'
import { workerCount } from './services/config/workers.js'
import { letHeapGrow } from './services/heap-growth.js'
import { serverTls } from './services/http/tls.js'
import { withStandaloneQueue } from './services/notifications/settings.js'
import type { AccessLog } from './services/log/access-log.js'
import { openLog } from './services/log/logger.js'
import type { WriteRequest } from './services/log/logger.js'
import { openAccessLog } from './services/log/standard-output.js'
import { Supervisor } from './services/workers/supervisor.js'
import { joinAsWorker } from './services/workers/worker-process.js'
import { dataLocation } from './services/storage/create.js'
import { startTelemetry } from './services/tracing/telemetry.js'
import { alone } from './services/workers/workers.js'
import type { Workers } from './services/workers/workers.js'

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
async function serve (loaded: LoadedConfig): Promise<void> {
  letHeapGrow()
  const count = workerCount(loaded.config.http.workers)
  if (count === 1) return await serveAlone(loaded)
  return cluster.isPrimary ? await superviseWorkers(loaded, count) : await serveAsWorker(loaded, count)
}

async function serveAlone (loaded: LoadedConfig): Promise<void> {
  const log = serverLog(loaded)
  const stop = stopper(log)
  stopOnSignal(stop)
  await start(loaded, { ...log, workers: alone(), onApp: stop.use, announce: url => banner(loaded, url) })
}

/** The process that the operator started: it serves nothing itself. */
async function superviseWorkers ({ config, ...loaded }: LoadedConfig, count: number): Promise<void> {
  const { logger } = openLog(config.log)
  const supervisor = new Supervisor({ count, log: logger })
  let stopping = false
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      supervisor.kill()
      process.exit(1)
    }
    stopping = true
    logger.info(`${signal}: stopping`)
    void supervisor.stop().then(isClean => {
      logger.info(isClean ? 'stopped' : 'could not stop cleanly')
      process.exitCode = isClean ? 0 : 1
    })
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    const url = await supervisor.start()
    if (!stopping) logger.info({ workers: count }, banner({ config, ...loaded }, url))
  } catch (error) {
    // Workers that are stopped before they listen are what was asked for.
    if (!stopping) throw error
  }
}

/** One of several processes. It stops when the primary process says so, or is gone; signals are for that one. */
async function serveAsWorker (loaded: LoadedConfig, count: number): Promise<void> {
  const { workers, ready, failed, onStop } = joinAsWorker(count)
  try {
    const log = serverLog(loaded, { worker: workers.id })
    const stop = stopper(log)
    onStop(() => { stop.now('the server stops') })
    await workers.join()
    let where = ''
    await start(loaded, { ...log, workers, onApp: stop.use, announce: url => { where = url; return `worker ${workers.id} serves ${url}` } })
    ready(where)
  } catch (error) {
    failed(error)
  }
}

/** What a process that serves writes. */
interface ServerLog {
  readonly logger: Logger
  readonly writeRequest: WriteRequest
  readonly access: AccessLog | undefined
}

function serverLog ({ config }: LoadedConfig, fields?: { readonly worker: number }): ServerLog {
  const log = openLog(config.log, fields)
  return { ...log, access: openAccessLog(config.log, log) }
}

interface StartOptions extends ServerLog {
  readonly workers: Workers
  readonly onApp: (app: FastifyInstance, stopping: Stopping) => void
  /** What the log says when the port is open. */
  readonly announce: (url: string) => string
}

async function start ({ config, warnings, directory }: LoadedConfig, { logger, writeRequest, access, workers, onApp, announce }: StartOptions): Promise<void> {
  const { http: { addr, net, tls, debug, draintimeout }, health: { shutdowndelay } } = config
  const address = parseAddress(addr, net)
  const debugServer = debug === undefined ? undefined : new (await import('./debug-server.js')).DebugServer({ addr: debug.addr, metricsPath: debug.prometheus.path, workers, logger })
  const secured = serverTls(tls)
  if (workers.id === 1) for (const warning of warnings) logger.warn(warning)
  const telemetry = await startTelemetry({ environment: process.env, log: logger, quiet: workers.id !== 1 })
  let handle: RegistryHandle | undefined
  const app = buildServer({
    ...withStandaloneQueue(config),
    baseDirectory: directory,
    logger,
    writeRequest,
    ...(access === undefined ? {} : { access }),
    instances: { workers },
    onReady (ready) {
      handle = ready
      if (telemetry !== undefined) ready.debug.publish('tracing', telemetry.counts)
    },
    ...(secured === undefined ? {} : { tls: secured })
  })
  if (telemetry !== undefined) app.addHook('onClose', async () => { if (!await telemetry.stop()) endSoon() })
  if (debugServer !== undefined) app.addHook('onClose', async () => { await debugServer.close() })
  // Before it listens: a signal may come as soon as somebody can know that it does.
  onApp(app, { drainMs: parseDuration(draintimeout), delayMs: parseDuration(shutdowndelay), drain: () => { handle?.health.drain() } })
  try {
    await app.ready()
    if (handle !== undefined) await debugServer?.open(handle)
    await listen(app, address, announce)
  } catch (error) {
    await app.close()
    throw error
  }
}

/** What is still under way to a collector that does not answer keeps the process no longer than anything else does. */
function endSoon (): void {
  setTimeout(() => { process.exit() }, 500).unref()
}

interface Stopping {
  /** How long requests may go on. */
  readonly drainMs: number
  /** How long the port stays open before that. */
  readonly delayMs: number
  /** Says to those who ask that no more requests should come. */
  readonly drain: () => void
}

interface Stopper {
  use (app: FastifyInstance, stopping: Stopping): void
  now (reason: string): void
}

/**
 * Is not ready any more, stops accepting, lets requests finish for the drain time, then cuts the connections; what
 * uploads received until then is made durable before the process ends.
 */
function stopper ({ logger, access }: Pick<ServerLog, 'logger' | 'access'>): Stopper {
  let running: { app: FastifyInstance, how: Stopping } | undefined
  let stopping = false
  return {
    use (app, how) { running = { app, how } },
    now (reason) {
      if (stopping || running === undefined) process.exit(stopping ? 1 : 0)
      stopping = true
      logger.info(`${reason}: stopping`)
      const { app, how } = running
      how.drain()
      void end(app, how, { logger, access })
    }
  }
}

async function end (app: FastifyInstance, how: Stopping, { logger, access }: Pick<ServerLog, 'logger' | 'access'>): Promise<void> {
  try {
    await closeAfter(app, how)
    logger.info('stopped')
    process.exitCode = 0
  } catch (error) {
    logger.error({ err: error }, 'could not stop cleanly')
    process.exitCode = 1
  }
  // A write that waits for its reader would keep the process.
  if (await access?.close(ACCESS_LOG_MS) === false) process.exit()
  if (cluster.isWorker) process.disconnect()
}

/** How long the reader of the access log may take at the end. */
const ACCESS_LOG_MS = 5000

/** Leaves load balancers the time to notice before the port closes. */
async function closeAfter (app: FastifyInstance, { delayMs, drainMs }: Stopping): Promise<void> {
  // A longer timer would overflow and fire at once.
  if (delayMs > 0) await sleep(Math.min(delayMs, 2 ** 31 - 1))
  const cut = setTimeout(() => { app.server.closeAllConnections() }, Math.min(drainMs, 2 ** 31 - 1))
  await app.close()
  clearTimeout(cut)
}

/** The first signal stops; the second one ends at once. */
function stopOnSignal (stop: Stopper): void {
  process.on('SIGINT', stop.now)
  process.on('SIGTERM', stop.now)
}

function banner ({ config: { storage } }: LoadedConfig, url: string): string {
  return `oci-registry listens on ${url}, data in ${dataLocation(storage)}`
}
