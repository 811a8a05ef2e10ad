import { readFile } from 'node:fs/promises'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { openApiDocument } from './helpers/openapi.js'

interface Document { [key: string]: unknown, openapi: string, paths: Record<string, Record<string, unknown>> }

t.test('the routes make a valid OpenAPI 3.1 document with every endpoint of the spec (R-252)', async t => {
  const document = JSON.parse(await openApiDocument()) as Document
  const { valid, errors } = await new Validator().validate(document)
  t.equal(valid, true, JSON.stringify(errors))
  t.equal(document.openapi, '3.1.0')
  t.strictSame(Object.fromEntries(Object.entries(document.paths).map(([path, methods]) => [path, Object.keys(methods).sort()])), {
    '/v2': ['get', 'head'],
    '/v2/': ['get', 'head'],
    '/v2/_catalog': ['get', 'head'],
    '/v2/_oci/ext/discover': ['get', 'head'],
    '/v2/{name}/_oci/ext/discover': ['get', 'head'],
    '/v2/{name}/blobs/uploads/': ['post'],
    '/v2/{name}/blobs/uploads/{reference}': ['delete', 'get', 'head', 'patch', 'put'],
    '/v2/{name}/blobs/{reference}': ['delete', 'get', 'head'],
    '/v2/{name}/manifests/{reference}': ['delete', 'get', 'head', 'put'],
    '/v2/{name}/referrers/{reference}': ['get', 'head'],
    '/v2/{name}/tags/list': ['get', 'head']
  })
})

t.test('docs/openapi.json is current (npm run openapi writes it)', async t => {
  const written = await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8')
  t.equal(written, await openApiDocument())
})
