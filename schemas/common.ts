import type { JSONSchema } from 'json-schema-to-ts'

/** Path of every route on a repository. The grammar of both is checked when they are parsed, to give the precise code. */
export const resourceParams = {
  type: 'object',
  required: ['name', 'reference'],
  properties: {
    name: { type: 'string', description: 'Repository name; may contain slashes.' },
    reference: { type: 'string', description: 'A tag, a digest or an upload session, depending on the resource.' }
  }
} as const satisfies JSONSchema

/** A query parameter; one that is repeated and one that is not both arrive as a list. */
export const queryValues = { type: 'array', items: { type: 'string' } } as const satisfies JSONSchema

export const paginationQuery = {
  type: 'object',
  properties: {
    n: { ...queryValues, description: 'Largest number of entries to return.' },
    last: { ...queryValues, description: 'Return only what comes after this entry.' }
  }
} as const satisfies JSONSchema
