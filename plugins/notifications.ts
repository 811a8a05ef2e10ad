import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Grant } from '../services/auth/access.js'
import { parseDuration } from '../services/config/duration.js'
import { clientAddress } from '../services/http/client-address.js'
import { Locations } from '../services/http/locations.js'
import { whenServed } from '../services/http/served.js'
import { instanceId } from '../services/instance.js'
import { atMost } from '../services/notifications/at-most.js'
import { observed } from '../services/notifications/bridge.js'
import { endpointVariables } from '../services/notifications/debug.js'
import { realClock } from '../services/notifications/delivery.js'
import type { EndpointStats } from '../services/notifications/endpoint.js'
import { EventStream } from '../services/notifications/event-stream.js'
import type { SourceRecord } from '../services/notifications/event.js'
import { Notifications } from '../services/notifications/notifications.js'
import { configuredQueues } from '../services/notifications/queues.js'
import { actorRecord, requestRecord } from '../services/notifications/records.js'
import type { RedisCommands } from '../services/notifications/redis-queue.js'
import { RequestListener } from '../services/notifications/request-listener.js'
import { endpointSettings, sourceAddress } from '../services/notifications/settings.js'
import type { RegistryEvents } from '../services/notifications/subscribers.js'
import type { Repository } from '../services/registry/types.js'

/** Who hears of what happens in repositories. */
export interface Events {
  /** The same repository, which tells of what this request does to it; as it is, when nobody listens. */
  observe (repository: Repository, grant: Grant, request: FastifyRequest, reply: FastifyReply): Repository
  readonly subscribers: RegistryEvents
  /** Undefined unless it is switched on. */
  readonly stream: EventStream | undefined
  /** Of the endpoints whose queues are in this process. */
  stats (): EndpointStats[]
}

declare module 'fastify' {
  interface FastifyInstance {
    ociEvents: Events
    /** Names this process, in events and logs. */
    ociInstanceId: string
  }
}

/** How long a push waits for its events to be kept. */
const KEPT_MS = 250

async function notificationsPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociConfig, ociWorkers: workers, ociDebug, ociRedis, ociTracing: tracing, log } = fastify
  const { notifications: config } = ociConfig
  const settings = endpointSettings(config)
  const limits = { events: config.maxqueue, bytes: config.maxqueuebytes }
  const redis: RedisCommands | undefined = ociRedis && { call: async (...command) => await ociRedis.run(async client => await client.call(...command)) }
  const queues = configuredQueues(ociConfig, { limits, clock: realClock, log }, redis)
  const stream = config.stream.enabled ? new EventStream(config.stream.buffer) : undefined
  const notifications = new Notifications({ endpoints: settings, queues, stream, workers, limit: config.maxqueue, clock: realClock, log, tracing })

  fastify.addHook('preClose', done => {
    stream?.close()
    done()
  })
  fastify.addHook('onClose', async () => {
    // A longer timer would overflow and fire at once.
    await notifications.close(AbortSignal.timeout(Math.min(parseDuration(config.draintimeout), 2 ** 31 - 1)))
  })
  await notifications.opened()

  fastify.decorate('ociInstanceId', instanceId)
  fastify.decorate('ociEvents', { observe: observer(fastify, notifications), subscribers: notifications.subscribers, stream, stats: () => notifications.endpoints().map(endpoint => endpoint.stats()) })
  ociDebug.publish('notifications', () => ({ endpoints: notifications.endpoints().map(endpoint => endpointVariables(endpoint.settings, endpoint.stats())) }))
}

function observer (fastify: FastifyInstance, notifications: Notifications): Events['observe'] {
  const { http: { host, relativeurls }, notifications: { events: { includereferences, includehead } } } = fastify.ociConfig
  const locations = new Locations({ prefix: fastify.prefix, host, relativeurls })
  const sourceOf = sourceRecord(fastify)

  return (repository, grant, request, reply) => {
    if (!notifications.listens) return repository
    const { method } = request
    return observed(repository, new RequestListener({
      repository: repository.name,
      request: requestRecord(request, clientAddress(request)),
      actor: actorRecord(grant, request.headers.authorization),
      source: sourceOf(),
      trace: request.ociSpan?.trace,
      locations,
      origin: request,
      includeReferences: includereferences,
      pulls: method === 'GET' || (method === 'HEAD' && includehead),
      emit: async event => { await atMost(KEPT_MS, notifications.emit(event)) },
      whenServed: callback => { whenServed(reply.raw, callback) }
    }))
  }
}

/** The port is the one that is listened on, once it is. */
function sourceRecord ({ server, ociConfig: { http: { addr, net } } }: FastifyInstance): () => SourceRecord {
  const configured = net === 'unix' ? undefined : Number(/:(\d+)$/.exec(addr)?.[1])
  let known: SourceRecord | undefined
  return () => {
    if (known !== undefined) return known
    const address = server.listening ? server.address() : null
    const port = address === null ? configured : typeof address === 'string' ? undefined : address.port
    const record = { addr: sourceAddress(port), instanceID: instanceId }
    if (address !== null) known = record
    return record
  }
}

export default fp(notificationsPlugin, { name: 'oci-notifications', fastify: '5.x', dependencies: ['oci-config', 'oci-debug', 'oci-redis', 'oci-tracing', 'oci-workers'] })
