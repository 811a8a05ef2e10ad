import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { storageCheck } from '../services/health/checks.js'
import { configuredChecks } from '../services/health/configured.js'
import { Health } from '../services/health/health.js'
import { Readiness } from '../services/health/readiness.js'
import type { ReadinessReport } from '../services/health/readiness.js'

/** How the registry is. Who serves it decides what follows from that. */
export interface RegistryHealth {
  /** False while a check of `health` in the configuration fails: the standalone server serves nothing then. */
  readonly isWell: boolean
  /** The checks that fail, by name, with the reason. */
  failures (): Record<string, string>
  /** Asks storage, and Redis if the registry cannot do without it: whether requests should be sent here. */
  ready (): Promise<ReadinessReport>
  /** Says that the server is about to stop: it is not ready any more. */
  drain (): void
}

declare module 'fastify' {
  interface FastifyInstance {
    ociHealth: RegistryHealth
  }
}

async function healthPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociConfig, ociDriver: driver, ociRedis: redis, log } = fastify
  const health = new Health({ checks: configuredChecks(ociConfig.health, driver), log })
  // A cache that is away is done without; a queue that is away loses events.
  const needsRedis = redis !== undefined && ociConfig.notifications.queue === 'redis'
  const readiness = new Readiness({
    needs: { storage: storageCheck(driver), ...(needsRedis ? { redis: async () => { await redis.ping() } } : {}) },
    failures: () => health.failures()
  })
  fastify.decorate('ociHealth', {
    get isWell () { return health.isWell },
    failures: () => health.failures(),
    ready: async () => await readiness.report(),
    drain: () => { readiness.drain() }
  })
  fastify.addHook('onReady', async () => { health.start() })
  fastify.addHook('onClose', async () => { await health.stop() })
}

export default fp(healthPlugin, { name: 'oci-health', fastify: '5.x', dependencies: ['oci-config', 'oci-redis', 'oci-storage'] })
