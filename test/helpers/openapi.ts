import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import { registry } from '../../registry.js'

/**
 * The OpenAPI 3.1 document of the API, as JSON. It is made from the routes and their schemas by `@fastify/swagger`,
 * which a host that wants the document in its own can register in the same way.
 */
export async function openApiDocument (): Promise<string> {
  const app = Fastify()
  await app.register(swagger, {
    exposeHeadRoutes: true,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'OCI distribution API',
        description: 'OCI distribution 1.1 and Docker Registry V2. Repository names may contain slashes.',
        version: '1.1.0',
        license: { name: 'MIT', identifier: 'MIT' }
      }
    }
  })
  await app.register(registry, { storage: { inmemory: {} } })
  await app.ready()
  const document = `${JSON.stringify(app.swagger(), null, 2)}\n`
  await app.close()
  return document
}
