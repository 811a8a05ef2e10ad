import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import Fastify from 'fastify'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import type { RegistryOptions } from '../../registry.js'
import { createHttpServer } from '../../services/http/http-server.js'
import { injectOverHttp2, openSession } from './http2.js'

export const IN_MEMORY: RegistryOptions = { storage: { inmemory: {}, delete: { enabled: true } }, http: { relativeurls: true } }

/**
 * Where the tests of the routes run, when they do not say so themselves: `test/routes/on-*.test.ts` run all of them
 * again in another place.
 */
export type Place = 'root' | 'filesystem' | 'prefix' | 'twice' | 'http2'
let place: Place = 'root'

export function runIn (other: Place): void {
  place = other
}

/**
 * A bare Fastify with the registry in it, closed with the test: for `inject`. Without options in memory, deletes
 * allowed, relative Locations; and in another place if the tests are run there.
 */
export async function build (t: Test, options?: RegistryOptions & { prefix?: string }): Promise<FastifyInstance> {
  if (place === 'http2') return await buildHttp2(t, options)
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  if (options !== undefined || place === 'root') {
    await app.register(registry, options ?? IN_MEMORY)
    await app.ready()
    return app
  }
  if (place === 'twice') await app.register(registry, { ...IN_MEMORY, prefix: '/other' })
  const prefix = place === 'filesystem' ? '' : '/under/a/prefix'
  await app.register(registry, { ...IN_MEMORY, ...(place === 'filesystem' ? { storage: await onDisk(t) } : {}), prefix })
  await app.ready()
  return prefix === '' ? app : behindPrefix(app, prefix)
}

/** One session for all requests of a test. */
async function buildHttp2 (t: Test, options: RegistryOptions = IN_MEMORY): Promise<FastifyInstance> {
  const app = Fastify({ serverFactory: handler => createHttpServer(handler, { http2: true, keepAliveMs: 60_000, maxHeaderBytes: 64 * 1024 }) })
  t.teardown(async () => { await app.close() })
  await app.register(registry, options)
  return injectOverHttp2(app, await openSession(t, await app.listen({ host: '127.0.0.1', port: 0 })))
}

async function onDisk (t: Test): Promise<NonNullable<RegistryOptions['storage']>> {
  const rootdirectory = await mkdtemp(join(tmpdir(), 'oci-registry-test-'))
  t.teardown(async () => { await rm(rootdirectory, { recursive: true, force: true }) })
  return { filesystem: { rootdirectory, fsync: false }, delete: { enabled: true } }
}

/** Takes the prefix out of sight: requests get it, Location and Link lose it, as a proxy that maps paths would do. */
function behindPrefix (app: FastifyInstance, prefix: string): FastifyInstance {
  const inject = async (request: InjectOptions | string): Promise<LightMyRequestResponse> => {
    const options = typeof request === 'string' ? { url: request } : request
    const url = String(options.url)
    const response = await app.inject({ ...options, url: url.startsWith('/v2') ? `${prefix}${url}` : url })
    for (const name of ['location', 'link']) {
      const value = response.headers[name]
      if (typeof value === 'string') response.headers[name] = value.replace(prefix, '')
    }
    return response
  }
  return new Proxy(app, { get: (target, key) => key === 'inject' ? inject : Reflect.get(target, key) as unknown })
}

export interface ErrorBody { errors: Array<{ code: string, message: string, detail?: unknown }> }

/** Checks status and envelope of an error answer, and returns the codes in it. */
export function errorCodes (t: Test, response: LightMyRequestResponse, status: number): string[] {
  t.equal(response.statusCode, status, response.body)
  t.equal(response.headers['content-type'], 'application/json')
  t.equal(response.headers['docker-distribution-api-version'], 'registry/2.0')
  return response.json<ErrorBody>().errors.map(({ code }) => code)
}
