import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { hasBody } from '../routes/request.js'
import { parseBytes } from '../services/config/bytes.js'
import { parseDuration } from '../services/config/duration.js'
import { http2Stream } from '../services/http/http2-stream.js'
import { clientOf } from '../services/limits/client.js'
import { Refusals } from '../services/limits/refusals.js'
import { RequestCounts } from '../services/limits/request-counts.js'
import { UploadSlots } from '../services/limits/upload-slots.js'
import type { EnteredUpload } from '../services/limits/upload-slots.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set while a blob is received and uploads are counted. */
    ociUpload: EnteredUpload | null
  }
}

export interface LimitsPluginOptions {
  /** Whether the host says who a request is from: then it has made sure. */
  readonly hasHostedAccess: boolean
}

/** What a plugin needs to refuse a request. */
interface Limiter {
  readonly refusals: Refusals
  readonly retryAfterMs: number
  /** Whom a request is counted for. */
  readonly clientOf: (request: FastifyRequest) => string
}

/**
 * `http.limits`: requests that are refused before their body is read, with 429 or 503 and `Retry-After`. A limit that is
 * not set has no hook. Requests are counted by our own: @fastify/rate-limit would share its counts with a host's, if the
 * host has it too.
 */
async function limitsPlugin (fastify: FastifyInstance, { hasHostedAccess }: LimitsPluginOptions): Promise<void> {
  const { ociConfig: { auth = {}, http: { limits } }, ociDebug, log } = fastify
  const { requests, uploads, eventloopdelay, heap, retryafter } = limits
  const hasPressure = parseDuration(eventloopdelay) > 0 || heap !== undefined
  const hasUploads = uploads.max > 0 || uploads.perclient > 0
  if (!hasPressure && !hasUploads && requests.max === 0) return

  // Elsewhere a name is only a claim: with a new one for each request nothing would be limited.
  const isProven = hasHostedAccess || auth.htpasswd !== undefined || auth.token !== undefined
  const limiter: Limiter = {
    refusals: new Refusals(log),
    retryAfterMs: parseDuration(retryafter),
    clientOf: ({ ociGrant, ip }) => clientOf(isProven ? ociGrant?.user : undefined, ip)
  }
  if (hasPressure) await limitPressure(fastify, limiter)
  if (requests.max > 0) limitRequests(fastify, limiter)
  const slots = hasUploads ? limitUploads(fastify, limiter) : undefined
  ociDebug.publish('limits', () => ({ refused: limiter.refusals.counts, uploads: slots?.count ?? 0 }))
}

/** Looks at nothing of the request: it is the first to be refused. */
async function limitPressure (fastify: FastifyInstance, { refusals, retryAfterMs }: Limiter): Promise<void> {
  const { default: underPressure } = await import('@fastify/under-pressure')
  const { eventloopdelay, heap } = fastify.ociConfig.http.limits
  await fastify.register(underPressure, {
    maxEventLoopDelay: parseDuration(eventloopdelay),
    maxHeapUsedBytes: heap === undefined ? 0 : parseBytes(heap),
    async pressureHandler (request, _reply, type) {
      request.ociLimited = true
      throw refusals.refuse(type === underPressure.TYPE_HEAP_USED_BYTES ? 'heap' : 'eventLoopDelay', retryAfterMs)
    }
  })
}

/** After access is decided, which says whose request it is. */
function limitRequests (fastify: FastifyInstance, { refusals, clientOf }: Limiter): void {
  const { ociConfig: { http: { limits: { requests } } }, ociRedis: redis, ociWorkers: workers } = fastify
  const counts = new RequestCounts({ intervalMs: parseDuration(requests.interval), redis, workers })
  fastify.addHook('preHandler', async function limitRequest (request) {
    const counted = await counts.add(clientOf(request)).catch(() => undefined)
    // Without a leader nobody counts.
    if (counted === undefined || counted.count <= requests.max) return
    request.ociLimited = true
    throw refusals.refuse('requests', counted.resetMs)
  })
}

function limitUploads (fastify: FastifyInstance, { refusals, retryAfterMs, clientOf }: Limiter): UploadSlots {
  const { ociConfig: { http: { limits: { uploads } } }, ociWorkers: workers, log } = fastify
  const slots = new UploadSlots({ limits: { max: uploads.max, perClient: uploads.perclient }, workers, log })
  fastify.addHook('onClose', async () => { await slots.close() })

  fastify.decorateRequest('ociUpload', null)

  // In callback form: what is no upload awaits nothing.
  fastify.addHook('preHandler', function limitUpload (request, { raw }, done) {
    if (!sendsBlob(request) || isGone(raw)) return done()
    request.ociUpload = slots.enter(clientOf(request))
    const { refused, leave } = request.ociUpload
    raw.once('close', () => { void leave() })
    void refused.then(reason => {
      request.ociLimited = reason !== undefined
      done(reason === undefined ? undefined : refusals.refuse(reason, retryAfterMs))
    })
  })
  // Who has the answer may send the next chunk at once, to another process too.
  fastify.addHook('onSend', (request, _reply, _payload, done) => {
    if (request.ociUpload === null) done()
    else void request.ociUpload.leave().then(() => { done() })
  })
  return slots
}

function sendsBlob (request: FastifyRequest): boolean {
  const { method, routeOptions: { config: { ociResource } } } = request
  return (ociResource === 'upload' || ociResource === 'upload-session') && (method === 'POST' || method === 'PUT' || method === 'PATCH') && hasBody(request)
}

/** A client that went away while access was decided will not be heard to go. */
function isGone (raw: FastifyReply['raw']): boolean {
  return raw.destroyed || http2Stream(raw)?.destroyed === true
}

export default fp(limitsPlugin, {
  name: 'oci-limits',
  fastify: '5.x',
  dependencies: ['oci-config', 'oci-debug', 'oci-redis', 'oci-workers', 'oci-repository', 'oci-audit']
})
