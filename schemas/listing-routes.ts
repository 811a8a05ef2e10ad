import type { JSONSchema } from 'json-schema-to-ts'
import { paginationQuery, queryValues, resourceParams } from './common.js'

const referrersQuery = {
  type: 'object',
  properties: {
    artifactType: { ...queryValues, description: 'Only referrers of this type, or of one of these.' },
    last: { ...queryValues, description: 'Return only what comes after this digest; set by the Link to the next page.' }
  }
} as const satisfies JSONSchema

export const getBase = { summary: 'Is this a registry, and may I use it? (end-1)', tags: ['base'], querystring: { type: 'object' } } as const
export const getCatalog = { summary: 'List repositories', tags: ['catalog'], querystring: paginationQuery } as const
export const getTags = { summary: 'List tags (end-8)', tags: ['tags'], params: resourceParams, querystring: paginationQuery } as const
export const getReferrers = { summary: 'List referrers (end-12)', tags: ['referrers'], params: resourceParams, querystring: referrersQuery } as const
export const getExtensions = { summary: 'List the extensions on offer', tags: ['extensions'], querystring: { type: 'object' } } as const
