import type { Server as TlsServer } from 'node:tls'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Fastify, { LogController } from 'fastify'
import { sendError } from './plugins/errors.js'
import { registry } from './registry.js'
import type { RegistryOptions } from './registry.js'
import { OciError } from './services/errors/oci-error.js'
import { watchFiles } from './services/http/certificate-watch.js'
import { holdContinue } from './services/http/expect.js'
import type { ServerTls } from './services/http/tls.js'
import { resourceOfUrl } from './services/reference/resource-path.js'

export interface ServerOptions extends RegistryOptions {
  readonly logger?: FastifyBaseLogger
  /** Serves HTTPS. */
  readonly tls?: ServerTls
}

/** Go clients keep idle connections for 90 s: a shorter life on our side would cut one just as it is used again. */
const KEEP_ALIVE_MS = 120_000
/** Tokens with many scopes are large; Node's own limit of 16 KiB refuses them. */
const MAX_HEADER_BYTES = 64 * 1024

/**
 * The standalone server: the registry, and everything that only the owner of the process may set. Not listening yet.
 *
 * @throws {ConfigError} from `ready()` when the configuration cannot be used
 */
export function buildServer ({ logger, tls, ...options }: ServerOptions): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...(logger === undefined ? { logger: false } : { loggerInstance: logger }),
    ...transport(tls),
    keepAliveTimeout: KEEP_ALIVE_MS,
    // An upload may take hours. Slow headers are cut off by Node's own timeout.
    requestTimeout: 0,
    forceCloseConnections: 'idle',
    // While stopping, connections that are still open are served to their end.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    logController: new OneLinePerRequest({ disableRequestLogging: options.log?.accesslog?.disabled ?? false }),
    trustProxy: [...options.http?.trustedproxies ?? []],
    routerOptions: { maxParamLength: 512 },
    // What the router cannot decode never reaches a route; it is answered like everything else.
    frameworkErrors: (error, request, reply) => { sendError(error, request, reply) }
  })

  if (tls !== undefined) secure(app, tls)
  holdContinue(app.server)
  endConnectionsOnClose(app)
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((request, reply) => sendError(noSuchPath(), request, reply))
  // Load balancers ask here whether the process lives.
  app.get('/', (_request, reply) => { reply.header('cache-control', 'no-cache').send() })
  const prefix = (options.http?.prefix ?? '/').replace(/\/$/, '')
  app.register(registry, { ...options, prefix })
  answerOptions(app, prefix, options.http?.headers ?? {})
  return app
}

const METHODS = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT'] as const

/**
 * What a browser asks before it asks: the configured headers (CORS) and the methods there are. In an embedded registry
 * this is the host's to answer.
 */
function answerOptions (app: FastifyInstance, prefix: string, headers: Readonly<Record<string, readonly string[]>>): void {
  const configured = Object.entries(headers).map(([name, values]) => [name, values.length === 1 ? values[0] : [...values]] as const)
  for (const url of [`${prefix}/v2/`, `${prefix}/v2/_catalog`, `${prefix}/v2/*`]) {
    app.options(url, (request, reply) => {
      const constraints = { ociResource: resourceOfUrl(request.url) } as unknown as Record<string, string>
      const isExact = !url.endsWith('*')
      const methods = METHODS.filter(method => app.hasRoute(isExact ? { method, url } : { method, url, constraints }))
      const allow = isExact ? methods.filter(method => method === 'GET' || method === 'HEAD') : methods
      if (allow.length === 0 || (!isExact && constraints['ociResource'] === undefined)) return sendError(noSuchPath(), request, reply)
      reply.header('docker-distribution-api-version', 'registry/2.0').header('allow', allow.join(', '))
      for (const [name, value] of configured) reply.header(name, value)
      return reply.send()
    })
  }
}

function noSuchPath (): OciError {
  return new OciError('NAME_INVALID', { status: 404, message: 'no such path' })
}

/** Fastify's types have a server of its own for HTTPS; to the rest of us it is one that speaks HTTP. */
function transport (tls: ServerTls | undefined): { http: { maxHeaderSize: number } } {
  const limits = { maxHeaderSize: MAX_HEADER_BYTES }
  return tls === undefined ? { http: limits } : { https: { ...tls.options, ...limits } } as unknown as { http: typeof limits }
}

/** Cuts connections that do not show what is asked of them, and takes over new certificates for new connections. */
function secure (app: FastifyInstance, tls: ServerTls): void {
  const server = app.server as unknown as TlsServer
  server.on('secureConnection', socket => {
    if (!tls.admits(socket)) socket.destroy()
  })
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
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (closing) reply.header('connection', 'close')
    done()
  })
  app.addHook('onResponse', (request, _reply, done) => {
    // The answer's head may have been on its way already when the stop began.
    if (closing) request.raw.socket.end()
    done()
  })
}

/** One line when a request is over; and a client that goes away in the middle of a download is no error of ours. */
class OneLinePerRequest extends LogController {
  override incomingRequest (): void {}

  override requestCompleted (_error: unknown, { method, url, log }: FastifyRequest, { statusCode, elapsedTime }: FastifyReply): void {
    log.info({ method, url, status: statusCode, ms: Math.round(elapsedTime) }, 'response completed')
  }

  override streamError (error: Error, { log }: FastifyRequest): void {
    const isAbort = 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
    log[isAbort ? 'info' : 'error']({ err: error }, isAbort ? 'client went away during its download' : 'sending failed')
  }
}
