import type { Writable } from 'node:stream'
import type { FastifyInstance, FastifyRequest, RegisterOptions } from 'fastify'
import fp from 'fastify-plugin'
import auditPlugin from './plugins/audit.js'
import authPlugin from './plugins/auth.js'
import configPlugin from './plugins/config.js'
import debugPlugin from './plugins/debug.js'
import descriptorsPlugin from './plugins/descriptors.js'
import errorsPlugin from './plugins/errors.js'
import garbageCollectionPlugin from './plugins/garbage-collection.js'
import headersPlugin from './plugins/headers.js'
import healthPlugin from './plugins/health.js'
import type { RegistryHealth } from './plugins/health.js'
import hostPlugin from './plugins/host.js'
import limitsPlugin from './plugins/limits.js'
import middlewarePlugin from './plugins/middleware.js'
import metricsPlugin from './plugins/metrics.js'
import metricSourcesPlugin from './plugins/metric-sources.js'
import namespacePlugin from './plugins/namespace.js'
import notificationsPlugin from './plugins/notifications.js'
import redisPlugin from './plugins/redis.js'
import policyPlugin from './plugins/policy.js'
import repositoryPlugin from './plugins/repository.js'
import requestLogPlugin from './plugins/request-log.js'
import requestMetricsPlugin from './plugins/request-metrics.js'
import requestTracingPlugin from './plugins/request-tracing.js'
import routingPlugin from './plugins/routing.js'
import storagePlugin from './plugins/storage.js'
import tokenServerPlugin from './plugins/token-server.js'
import tracingPlugin from './plugins/tracing.js'
import uploadPurgePlugin from './plugins/upload-purge.js'
import uploadsPlugin from './plugins/uploads.js'
import validationPlugin from './plugins/validation.js'
import verifyPlugin from './plugins/verify.js'
import workersPlugin from './plugins/workers.js'
import routes from './routes/index.js'
import type { RegistryConfigInput } from './schemas/config/index.js'
import type { AccessController, Authorize } from './services/auth/access.js'
import type { DebugVariables } from './services/debug/variables.js'
import type { GarbageCollection } from './services/garbage/garbage-collection.js'
import type { UploadPurge } from './services/maintenance/upload-purge.js'
import type { RegistryEvents } from './services/notifications/subscribers.js'
import type { RegistryMetrics } from './services/metrics/registry-metrics.js'
import type { RedisClient } from './services/redis/connection.js'
import type { LoadedMiddleware } from './services/middleware/load.js'
import type { ExplainQuestion, Explanation } from './services/policy/explain.js'
import type { PolicyHooks } from './services/policy/hooks.js'
import type { StorageDriver } from './services/storage/driver.js'
import type { Scrub } from './services/verify/scrub.js'
import type { Workers } from './services/workers/workers.js'

/** Live objects a host hands in. They stay the host's: the registry never closes them. */
export interface RegistryInstances {
  readonly driver?: StorageDriver
  readonly accessController?: AccessController<FastifyRequest> | Authorize<FastifyRequest>
  /** A client of ioredis, of one server, of sentinels or of a cluster. Takes the place of `redis` in the configuration. */
  readonly redis?: RedisClient
  /** The processes that serve together with this one, where there are several. */
  readonly workers?: Workers
  /** Where the registry writes an access log, as the standalone server does on standard output; without it there is none. */
  readonly accessLog?: Pick<Writable, 'write' | 'on'>
  /** Put in front of the driver, the namespace and each repository, in order, outside of what is configured. */
  readonly middleware?: Partial<LoadedMiddleware>
}

/** What code outside the registry's scope can do with it. */
export interface RegistryHandle {
  /** What an operator may look at. */
  readonly debug: DebugVariables
  /** Says which rule or hook decides about something, and why, without doing it. */
  explain (question: ExplainQuestion): Promise<Explanation>
  /** `runOnce` removes uploads that nobody finished, out of turn. */
  readonly uploadPurge: Pick<UploadPurge, 'runOnce'>
  /** `runOnce` reads everything that is stored and reports what is wrong with it, as `storage.maintenance.verify` says. */
  readonly verify: Pick<Scrub, 'runOnce'>
  /** `runOnce` collects garbage, out of turn. */
  readonly garbageCollection: Pick<GarbageCollection, 'runOnce'>
  /** Tells of pushes, pulls, mounts and deletes, as they happen in this process. */
  readonly events: RegistryEvents
  /** Whether it is well, and ready for requests. The host decides what follows from that. */
  readonly health: RegistryHealth
  /** What is measured in this process, if `http.debug.prometheus.enabled` says so. */
  readonly metrics: RegistryMetrics | undefined
}

/** The configuration, in the keys of `config.yml`. Fastify takes `prefix`, `logLevel` and `logSerializers` besides. */
export interface RegistryOptions extends RegistryConfigInput {
  readonly instances?: RegistryInstances
  /** Directory that paths of modules in the configuration are relative to; the working directory unless given. */
  readonly baseDirectory?: string
  /** Policy in code: who may push, tag, pull and delete what. */
  readonly hooks?: PolicyHooks
  /** Who may do what, by rules of the host's: the same as in `instances`. */
  readonly accessController?: AccessController<FastifyRequest> | Authorize<FastifyRequest>
  /** Called once, when the registry is ready to serve: the way to it from outside its scope. */
  readonly onReady?: (handle: RegistryHandle) => void
}

async function registryPlugin (fastify: FastifyInstance, options: RegistryOptions & RegisterOptions): Promise<void> {
  const { prefix, logLevel, logSerializers, instances = {}, accessController = instances.accessController, baseDirectory, hooks, onReady, ...config } = options
  const { driver, redis, workers, middleware, accessLog } = instances
  // A driver of the host's takes the place of a configured one.
  const storage = driver === undefined ? config.storage : { ...config.storage, inmemory: {} }

  await fastify.register(configPlugin, {
    config: { ...config, ...(storage === undefined ? {} : { storage }) },
    quiet: workers !== undefined && workers.id !== 1
  })
  await fastify.register(requestLogPlugin, { accessLog })
  await fastify.register(debugPlugin)
  await fastify.register(workersPlugin, { workers })
  await fastify.register(metricsPlugin)
  await fastify.register(tracingPlugin)
  await fastify.register(redisPlugin, { client: redis })
  await fastify.register(descriptorsPlugin)
  await fastify.register(middlewarePlugin, { middleware, baseDirectory })
  await fastify.register(storagePlugin, { driver })
  await fastify.register(uploadsPlugin)
  await fastify.register(uploadPurgePlugin)
  await fastify.register(namespacePlugin)
  await fastify.register(verifyPlugin)
  await fastify.register(garbageCollectionPlugin)
  await fastify.register(authPlugin, { accessController })
  await fastify.register(policyPlugin, { hooks, hasHostedAccess: accessController !== undefined })
  await fastify.register(tokenServerPlugin)
  await fastify.register(notificationsPlugin)
  await fastify.register(healthPlugin)
  await fastify.register(metricSourcesPlugin)

  // The API proper, in a scope of its own: parsers, hooks and error handler reach nothing but its routes.
  await fastify.register(async function api (scope) {
    await scope.register(hostPlugin)
    await scope.register(requestTracingPlugin)
    await scope.register(errorsPlugin)
    await scope.register(validationPlugin)
    await scope.register(routingPlugin)
    await scope.register(requestMetricsPlugin)
    await scope.register(headersPlugin)
    await scope.register(repositoryPlugin)
    await scope.register(auditPlugin)
    await scope.register(limitsPlugin, { hasHostedAccess: accessController !== undefined })
    await scope.register(routes)
  })

  const { ociDebug: debug, ociExplainer: explainer, ociUploadPurge: uploadPurge, ociVerify: verify, ociGarbageCollection: garbageCollection, ociHealth: health, ociMetrics: metrics } = fastify
  const { subscribers: events } = fastify.ociEvents
  const explain: RegistryHandle['explain'] = async question => await explainer.explain(question)
  if (onReady !== undefined) fastify.addHook('onReady', async () => { onReady({ debug, events, explain, uploadPurge, verify, garbageCollection, health, metrics }) })
}

/**
 * The registry as a Fastify plugin. Encapsulated: nothing it decorates, parses or hooks is seen by the host, and it can
 * be registered several times in one server, each time with its own storage and prefix.
 *
 * @example
 * await app.register(registry, { prefix: '/containers', storage: { filesystem: { rootdirectory: '/data' } } })
 */
export const registry = fp(registryPlugin, { name: 'fastify-oci-registry', fastify: '5.x', encapsulate: true })
