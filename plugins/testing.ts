import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { breakAnswer, breakRequest, closeConnection, resetConnection } from '../services/testing/broken-streams.js'
import { expiredToken, statusAnswer } from '../services/testing/fault-answers.js'
import type { Faults, PendingFault } from '../services/testing/fault.js'
import { record } from '../services/testing/recorded-requests.js'
import type { RecordedRequest } from '../services/testing/recorded-requests.js'
import { corrupted, otherDigest } from '../services/testing/spoiled.js'

export interface TestingOptions {
  readonly faults: Faults
  readonly requests: RecordedRequest[]
  /** What a challenge says where a fault says nothing. */
  readonly realm: () => string
  readonly service: () => string
}

interface Watched { readonly recorded: RecordedRequest, readonly pending: PendingFault | undefined }

const WITH_BODY = new Set(['PATCH', 'POST', 'PUT'])

/**
 * Notes requests and lets faults happen to them, in front of all else. Not registered but called: hooks of a server
 * reach only what is loaded after them. Only `testing.ts` does.
 */
export function addTesting (app: FastifyInstance, { faults, requests, realm, service }: TestingOptions): void {
  const watched = new WeakMap<FastifyRequest, Watched>()

  app.addHook('onRequest', (request, reply, done) => {
    const pending = faults.for(request.method, request.url)
    watched.set(request, { pending, recorded: record(requests, request) })
    if (pending === undefined) return done()
    // Before any of the body arrives, and so before anything is waited for.
    prepare(pending, request, reply)
    const { delay = 0 } = pending.fault
    if (delay === 0) return begin(pending, request, done)
    // A registry that is closed need not wait for it.
    setTimeout(begin, delay, pending, request, done).unref()
  })

  app.addHook('onSend', (request, reply, payload, done) => {
    const { recorded, pending } = watched.get(request) ?? {}
    if (recorded !== undefined) recorded.status = reply.statusCode
    done(null, pending === undefined ? payload : spoil(pending, reply, payload))
  })

  // What is answered without Fastify, such as a stream of events, has a status as well.
  app.addHook('onResponse', (request, { raw }, done) => {
    const { recorded } = watched.get(request) ?? {}
    if (recorded !== undefined && raw.headersSent) recorded.status ??= raw.statusCode
    done()
  })

  function begin ({ fault, strike }: PendingFault, request: FastifyRequest, done: (error?: Error) => void): void {
    const { as, after = 0 } = fault
    if (as === undefined) strike()
    if (typeof as === 'number' && strike()) return done(statusAnswer(as, fault))
    if (as === 'expired-token' && strike()) {
      return done(expiredToken({ method: request.method, url: request.url, realm: fault.realm ?? realm(), service: service() }))
    }
    if (as === 'reset' && after === 0 && strike()) return resetConnection(request.raw)
    done()
  }
}

function prepare ({ fault: { as, after = 0 }, strike }: PendingFault, { method, raw }: FastifyRequest, reply: FastifyReply): void {
  if (as === 'truncate') return breakAnswer(reply.raw, { after, strike, end: closeConnection })
  if (as !== 'reset' || after === 0) return
  if (WITH_BODY.has(method)) breakRequest(raw, { after, strike })
  else breakAnswer(reply.raw, { after, strike, end: resetConnection })
}

function spoil ({ fault: { as }, strike }: PendingFault, reply: FastifyReply, payload: unknown): unknown {
  if (as === 'corrupt' && hasBytes(payload) && strike()) return corrupted(payload)
  if (as === 'wrong-digest' && reply.hasHeader('docker-content-digest') && strike()) {
    for (const name of ['docker-content-digest', 'etag']) {
      const value = reply.getHeader(name)
      if (typeof value === 'string') reply.header(name, otherDigest(value))
    }
  }
  return payload
}

function hasBytes (payload: unknown): boolean {
  return payload !== null && payload !== undefined && payload !== ''
}
