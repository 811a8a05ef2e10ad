import { getEvents } from '../schemas/event-routes.js'
import { OciError } from '../services/errors/oci-error.js'
import { SlowReader } from '../services/notifications/event-stream.js'
import type { RouteScope } from './types.js'

/** `GET /events`: what happens, as server-sent events, for whoever may see the catalog. Off unless it is switched on. */
export default async function eventRoutes (fastify: RouteScope): Promise<void> {
  const { ociEvents: { stream }, ociConfig: { notifications } } = fastify
  if (stream === undefined) return

  fastify.route({
    method: 'GET',
    url: notifications.stream.path,
    exposeHeadRoute: false,
    schema: getEvents,
    config: { ociAccess: 'catalog' },
    async handler ({ query, headers, log }, reply) {
      const { repository: repositories = [], action: actions = [] } = query
      const output = stream.open({ repositories, actions }, headers['last-event-id'])
      if (output === undefined) throw new OciError('UNAVAILABLE')
      output.once('error', error => {
        if (error instanceof SlowReader) log.warn(error.message)
      })
      // Proxies are asked not to collect what is to arrive at once.
      return reply
        .headers({ 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' })
        .send(output)
    }
  })
}
