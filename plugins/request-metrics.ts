import type { FastifyContextConfig, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { transferred } from '../services/http/transferred.js'
import type { Resource } from '../services/reference/resource-path.js'

/** The names docker's registry has for its routes. */
const HANDLERS: Readonly<Record<Resource, string>> = {
  manifest: 'manifest',
  blob: 'blob',
  upload: 'blob_upload',
  'upload-session': 'blob_upload_chunk',
  tags: 'tags',
  referrers: 'referrers',
  extensions: 'extensions'
}

/** Measures the requests of the API, if metrics are collected. What no route takes is not counted, as in docker's registry. */
async function requestMetricsPlugin (fastify: FastifyInstance): Promise<void> {
  const { ociMetrics: metrics } = fastify
  if (metrics === undefined) return
  // In callback form: it runs for every request and awaits nothing.
  fastify.addHook('onRequest', ({ raw, routeOptions, method }, reply, done) => {
    const handler = handlerOf(routeOptions.config)
    if (handler === undefined) return done()
    const began = performance.now()
    let isOver = false
    const finished = (isAborted: boolean): void => {
      if (isOver) return
      isOver = true
      const { statusCode: status } = reply.raw
      metrics.finished({ handler, method: method.toLowerCase(), status, seconds: (performance.now() - began) / 1000, isAborted, ...transferred(raw, { status, declared: reply.getHeader('content-length'), isWhole: !isAborted }) })
    }
    metrics.began(handler)
    reply.raw.once('finish', () => { finished(raw.destroyed && !raw.complete) })
    reply.raw.once('close', () => { finished(!reply.raw.writableFinished) })
    done()
  })
}

function handlerOf ({ ociResource, ociAccess }: FastifyContextConfig): string | undefined {
  if (ociResource !== undefined) return HANDLERS[ociResource]
  return ociAccess === 'base' || ociAccess === 'catalog' ? ociAccess : undefined
}

export default fp(requestMetricsPlugin, { name: 'oci-request-metrics', fastify: '5.x', dependencies: ['oci-metrics', 'oci-routing'] })
