import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** The body as a stream: our parser passes it through. A request without one has an empty stream. */
export function bodyOf ({ body, raw }: Pick<FastifyRequest, 'body' | 'raw'>): Readable {
  return (body as Readable | undefined) ?? raw
}

/** What Content-Length says; Node has checked that it is a number. Undefined for chunked bodies. */
export function declaredLength ({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** Aborts when the client goes away before it has its answer. */
export function closeSignal ({ raw }: Pick<FastifyReply, 'raw'>): AbortSignal {
  const controller = new AbortController()
  if (raw.destroyed) controller.abort()
  raw.once('close', () => { if (!raw.writableFinished) controller.abort() })
  return controller.signal
}
