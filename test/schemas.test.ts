import { Ajv } from 'ajv'
import t from 'tap'
import * as blobRoutes from '../schemas/blob-routes.js'
import { configSchema } from '../schemas/config/index.js'
import * as eventRoutes from '../schemas/event-routes.js'
import * as explainRoute from '../schemas/explain-route.js'
import * as listingRoutes from '../schemas/listing-routes.js'
import * as manifestContent from '../schemas/manifest-content.js'
import * as manifestRoutes from '../schemas/manifest-routes.js'
import * as tokenRoutes from '../schemas/token-routes.js'
import * as uploadRoutes from '../schemas/upload-routes.js'

/** What the server itself takes for granted, because looking at it would cost time at every start. */
function checked (schema: object): string | null {
  const ajv = new Ajv({ strict: false, validateFormats: false })
  return ajv.validateSchema(schema) === true && ajv.compile(schema) !== undefined ? null : ajv.errorsText()
}

t.test('the schema of the configuration is one', async t => {
  t.equal(checked(configSchema), null)
})

t.test('the schemas of manifests are', async t => {
  const schemas = Object.entries(manifestContent).filter(([name]) => name.endsWith('Schema'))
  t.ok(schemas.length >= 2)
  for (const [name, schema] of schemas) t.equal(checked(schema as object), null, name)
})

t.test('what routes say of params, query and headers is', async t => {
  let count = 0
  for (const module of [blobRoutes, eventRoutes, explainRoute, listingRoutes, manifestRoutes, tokenRoutes, uploadRoutes]) {
    for (const [name, route] of Object.entries(module)) {
      if (typeof route !== 'object') continue
      for (const part of ['params', 'querystring', 'headers', 'body'] as const) {
        const schema = (route as Record<string, unknown>)[part]
        if (typeof schema !== 'object' || schema === null) continue
        count++
        t.equal(checked(schema), null, `${name}.${part}`)
      }
    }
  }
  t.ok(count > 10, `${count} schemas`)
})
