import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import Fastify from 'fastify'
import type { Test } from 'tap'
import { registry } from '../../registry.js'
import type { RegistryOptions } from '../../registry.js'

export const IN_MEMORY: RegistryOptions = { storage: { inmemory: {}, delete: { enabled: true } }, http: { relativeurls: true } }

/** A bare Fastify with the registry in it, closed with the test: for `inject`. In memory, deletes allowed, relative Locations. */
export async function build (t: Test, options: RegistryOptions & { prefix?: string } = IN_MEMORY): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(registry, options)
  await app.ready()
  return app
}

export interface ErrorBody { errors: Array<{ code: string, message: string, detail?: unknown }> }

/** Checks status and envelope of an error answer, and returns the codes in it. */
export function errorCodes (t: Test, response: LightMyRequestResponse, status: number): string[] {
  t.equal(response.statusCode, status, response.body)
  t.equal(response.headers['content-type'], 'application/json')
  t.equal(response.headers['docker-distribution-api-version'], 'registry/2.0')
  return response.json<ErrorBody>().errors.map(({ code }) => code)
}
