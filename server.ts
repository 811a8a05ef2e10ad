import type { Server as TlsServer } from 'node:tls'
import type { FastifyBaseLogger, FastifyInstance, FastifyServerOptions } from 'fastify'
import Fastify from 'fastify'
import { RequestLogController } from './log-controller.js'
import { sendError } from './plugins/errors.js'
import type { RegistryHealth } from './plugins/health.js'
import { registry } from './registry.js'
import type { RegistryOptions } from './registry.js'
import { OciError } from './services/errors/oci-error.js'
import { watchFiles } from './services/http/certificate-watch.js'
import { configuredHeaders } from './services/http/configured-headers.js'
import { createHttpServer } from './services/http/http-server.js'
import { requestId } from './services/http/request-id.js'
import type { ServerTls } from './services/http/tls.js'
import type { AccessLog } from './services/log/access-log.js'
import { writeWith } from './services/log/logger.js'
import type { WriteRequest } from './services/log/logger.js'
import { resourceOfUrl } from './services/reference/resource-path.js'

export interface ServerOptions extends RegistryOptions {
  readonly logger?: FastifyBaseLogger
  /** Writes what the log says of requests; without it the logger does. */
  readonly writeRequest?: WriteRequest
  /** A line for every request. Whoever opened it closes it. */
  readonly access?: AccessLog
  /** Serves HTTPS. */
  readonly tls?: ServerTls
}

/** No route outside of the registry has a schema, and those inside have compilers of their own: Fastify need not load its. */
const NO_SCHEMAS = {
  compilersFactory: { buildValidator: () => () => () => true, buildSerializer: () => () => JSON.stringify }
} as unknown as NonNullable<FastifyServerOptions['schemaController']>

/** Go clients keep idle connections for 90 s: a shorter life on our side would cut one just as it is used again. */
const KEEP_ALIVE_MS = 120_000
/** Tokens with many scopes are large; Node's own limit of 16 KiB refuses them. */
const MAX_HEADER_BYTES = 64 * 1024

/**
 * The standalone server: the registry, and everything that only the owner of the process may set. Not listening yet.
 *
 * @throws {ConfigError} from `ready()` when the configuration cannot be used
 */
export function buildServer ({ logger, writeRequest = logger && writeWith(logger), access, tls, onReady, ...options }: ServerOptions): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...(logger === undefined ? { logger: false } : { loggerInstance: logger }),
    ...transport(tls, options.http),
    forceCloseConnections: 'idle',
    // While stopping, connections that are still open are served to their end.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    schemaController: NO_SCHEMAS,
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    logController: new RequestLogController({ write: writeRequest, access }),
    ...trusting(options.http?.trustedproxies ?? []),
    routerOptions: { maxParamLength: 512 },
    // What the router cannot decode never reaches a route; it is answered like everything else.
    frameworkErrors: (error, request, reply) => { sendError(error, request, reply) }
  })

  if (tls !== undefined) secure(app, tls)
  endConnectionsOnClose(app)
  app.addHook('onRequest', ({ id }, reply, done) => {
    reply.header('x-request-id', id)
    done()
  })
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((request, reply) => sendError(noSuchPath(), request, reply))
  // Load balancers ask here whether the process lives.
  app.get('/', (_request, reply) => { reply.header('cache-control', 'no-cache').send() })
  const probe = probes(app)
  const prefix = (options.http?.prefix ?? '/').replace(/\/$/, '')
  app.register(registry, {
    ...options,
    prefix,
    onReady (handle) {
      probe(handle.health)
      onReady?.(handle)
    }
  })
  answerOptions(app, prefix, options.http?.headers ?? {})
  return app
}

/** What is asked about the server rather than of it: answered also while nothing else is. */
const PROBES: ReadonlySet<string | undefined> = new Set(['/livez', '/readyz'])

/**
 * Whether the process lives (`/livez`) and whether requests should be sent to it (`/readyz`); and while a check of the
 * configuration fails, 503 for every request, as docker's registry does it. Returns what takes the registry's health.
 */
function probes (app: FastifyInstance): (of: RegistryHealth) => void {
  let health: RegistryHealth | undefined
  app.addHook('onRequest', (request, _reply, done) => {
    if (health?.isWell !== false || PROBES.has(request.routeOptions.url)) return done()
    done(new OciError('UNAVAILABLE', { detail: 'health check failed: please see /debug/health' }))
  })
  app.get('/livez', (_request, reply) => { reply.header('cache-control', 'no-cache').send({ alive: true }) })
  app.get('/readyz', async (_request, reply) => {
    const { ready, problems } = await health?.ready() ?? { ready: false, problems: {} }
    // Reasons are for the debug server: anybody may ask here.
    return reply.code(ready ? 200 : 503).header('cache-control', 'no-cache').send({ ready, failing: Object.keys(problems) })
  })
  return of => { health = of }
}

const METHODS = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT'] as const

/**
 * What a browser asks before it asks: the configured headers (CORS) and the methods there are. In an embedded registry
 * this is the host's to answer.
 */
function answerOptions (app: FastifyInstance, prefix: string, headers: Readonly<Record<string, readonly string[]>>): void {
  const configured = configuredHeaders(headers)
  for (const url of [`${prefix}/v2/`, `${prefix}/v2/_catalog`, `${prefix}/v2/*`]) {
    app.options(url, (request, reply) => {
      const constraints = { ociResource: resourceOfUrl(request.url) } as unknown as Record<string, string>
      const isExact = !url.endsWith('*')
      const methods = METHODS.filter(method => app.hasRoute(isExact ? { method, url } : { method, url, constraints }))
      const allow = isExact ? methods.filter(method => method === 'GET' || method === 'HEAD') : methods
      if (allow.length === 0 || (!isExact && constraints['ociResource'] === undefined)) return sendError(noSuchPath(), request, reply)
      reply.header('docker-distribution-api-version', 'registry/2.0').header('allow', allow.join(', '))
      for (const [name, value] of configured(request.raw.httpVersionMajor)) reply.header(name, value)
      return reply.send()
    })
  }
}

/** Without a list Fastify does not look at what proxies say, and tells that it did not. */
function trusting (proxies: readonly string[]): { trustProxy?: string[] } {
  return proxies.length === 0 ? {} : { trustProxy: [...proxies] }
}

function noSuchPath (): OciError {
  return new OciError('NAME_INVALID', { status: 404, message: 'no such path' })
}

/** Fastify learns of HTTPS only to say it in the log; its types have a server of its own for it. */
function transport (tls: ServerTls | undefined, { http2, h2c }: RegistryOptions['http'] = {}): Pick<FastifyServerOptions, 'serverFactory'> {
  const isHttp2 = tls === undefined ? h2c?.enabled ?? false : !(http2?.disabled ?? false)
  const serverFactory: FastifyServerOptions['serverFactory'] = handler => createHttpServer(handler, {
    tls, http2: isHttp2, keepAliveMs: KEEP_ALIVE_MS, maxHeaderBytes: MAX_HEADER_BYTES
  })
  return tls === undefined ? { serverFactory } : { serverFactory, https: {} } as unknown as { serverFactory: typeof serverFactory }
}

/** Takes over new certificates for new connections. */
function secure (app: FastifyInstance, tls: ServerTls): void {
  const server = app.server as unknown as TlsServer
  const watch = watchFiles(tls.files, () => {
    try {
      server.setSecureContext(tls.reload())
      app.log.info('the certificate was read again')
    } catch (error) {
      app.log.warn({ err: error }, 'the new certificate cannot be used; the old one stays')
    }
  })
  app.addHook('onClose', async () => { watch.close() })
}

/** While stopping, a connection ends with the answer it is waiting for: nobody has to wait until it idles out. */
function endConnectionsOnClose (app: FastifyInstance): void {
  let closing = false
  app.addHook('preClose', done => {
    closing = true
    done()
  })
  // HTTP/2 has no such header, and its sessions end by themselves.
  app.addHook('onSend', ({ raw }, reply, _payload, done) => {
    if (closing && raw.httpVersionMajor === 1) reply.header('connection', 'close')
    done()
  })
  app.addHook('onResponse', ({ raw }, _reply, done) => {
    // The answer's head may have been on its way already when the stop began.
    if (closing && raw.httpVersionMajor === 1) raw.socket.end()
    done()
  })
}
