import type { JSONSchema } from 'json-schema-to-ts'
import { paginationQuery, queryValues, resourceParams } from './common.js'
import { OCI_INDEX } from './media-types.js'
import { answers, body, errors } from './responses.js'

const referrersQuery = {
  type: 'object',
  properties: {
    artifactType: { ...queryValues, description: 'Only referrers of this type, or of one of these.' },
    last: { ...queryValues, description: 'Return only what comes after this digest; set by the Link to the next page.' }
  }
} as const satisfies JSONSchema

const noQuery = { type: 'object', properties: {} } as const satisfies JSONSchema
const json = ['application/json']
const names = { type: 'array', items: { type: 'string' } }

export const getBase = {
  summary: 'Is this a registry, and may I use it? (end-1)',
  tags: ['base'],
  querystring: noQuery,
  response: answers({ 200: body('It is, and you may.', json, [], { type: 'object' }), ...errors() })
} as const

export const getCatalog = {
  summary: 'List repositories',
  tags: ['catalog'],
  querystring: paginationQuery,
  response: answers({ 200: body('Repositories.', json, ['Link'], { type: 'object', properties: { repositories: names } }), ...errors(400) })
} as const

export const getTags = {
  summary: 'List tags (end-8)',
  tags: ['tags'],
  params: resourceParams,
  querystring: paginationQuery,
  response: answers({
    200: body('Tags in byte order.', json, ['Link'], { type: 'object', properties: { name: { type: 'string' }, tags: names } }),
    ...errors(400, 404)
  })
} as const

export const getReferrers = {
  summary: 'List referrers (end-12)',
  tags: ['referrers'],
  params: resourceParams,
  querystring: referrersQuery,
  response: answers({ 200: body('An index of them.', [OCI_INDEX], ['Link', 'OCI-Filters-Applied'], { type: 'object' }), ...errors(400) })
} as const

export const getExtensions = {
  summary: 'List the extensions on offer',
  tags: ['extensions'],
  querystring: noQuery,
  response: answers({ 200: body('Extensions.', json, [], { type: 'object' }), ...errors() })
} as const
