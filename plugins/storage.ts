import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { loggedDriver } from '../services/log/logged-driver.js'
import { MeasuredDriver } from '../services/metrics/measured-driver.js'
import { createDriver } from '../services/storage/create.js'
import type { StorageDriver } from '../services/storage/driver.js'
import { ForwardingDriver, KeptOpenDriver } from '../services/storage/forwarding-driver.js'
import { guarded } from '../services/storage/guarded.js'
import { TracedDriver } from '../services/tracing/traced-driver.js'

declare module 'fastify' {
  interface FastifyInstance {
    ociDriver: StorageDriver
  }
}

export interface StoragePluginOptions {
  /** A driver the host has opened. It stays the host's: it is not closed here. */
  readonly driver?: StorageDriver | undefined
}

async function storagePlugin (fastify: FastifyInstance, { driver: given }: StoragePluginOptions): Promise<void> {
  const { ociConfig, ociMiddleware, ociMetrics, ociTracing, log } = fastify
  let driver = guarded(given === undefined ? await createDriver(ociConfig.storage) : new KeptOpenDriver(given))
  fastify.addHook('onClose', async () => { await driver.close() })
  if (log.level === 'debug' || log.level === 'trace') driver = loggedDriver(driver, log)
  // What is measured is the storage itself.
  if (ociMetrics !== undefined) driver = new MeasuredDriver(driver, ociMetrics)
  if (ociTracing !== undefined) driver = new TracedDriver(driver, ociTracing)
  // A middleware is somebody else's code as a driver is: it is guarded as well.
  for (const decorate of ociMiddleware.storage) {
    const decorated = await decorate(driver)
    // What is made in another way may have methods of its own that nobody can see.
    driver = guarded(decorated, { shortcuts: decorated instanceof ForwardingDriver })
  }
  fastify.decorate('ociDriver', driver)
}

export default fp(storagePlugin, { name: 'oci-storage', fastify: '5.x', dependencies: ['oci-config', 'oci-metrics', 'oci-middleware', 'oci-tracing'] })
