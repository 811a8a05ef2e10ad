import type { FromSchema, JSONSchema } from 'json-schema-to-ts'
import { queryValues, resourceParams } from './common.js'

const startUploadQuery = {
  type: 'object',
  properties: {
    digest: { ...queryValues, description: 'The body is the whole blob (end-4b).' },
    mount: { ...queryValues, description: 'Digest of a blob to mount (end-11).' },
    from: { ...queryValues, description: 'Repository to mount it from.' },
    'digest-algorithm': { ...queryValues, description: 'Algorithm of the digest the upload will be closed with (end-4c).' }
  }
} as const satisfies JSONSchema

const finishUploadQuery = {
  type: 'object',
  properties: { digest: { ...queryValues, description: 'Digest of the whole blob.' } }
} as const satisfies JSONSchema

export type UploadQuery = FromSchema<typeof startUploadQuery>

export const startUpload = { summary: 'Start an upload, push a blob at once, or mount one (end-4, end-11)', tags: ['uploads'], params: resourceParams, querystring: startUploadQuery } as const
export const getUpload = { summary: 'Ask how far an upload is (end-13)', tags: ['uploads'], params: resourceParams } as const
export const patchUpload = { summary: 'Push a chunk (end-5)', tags: ['uploads'], params: resourceParams } as const
export const finishUpload = { summary: 'Close an upload (end-6)', tags: ['uploads'], params: resourceParams, querystring: finishUploadQuery } as const
export const cancelUpload = { summary: 'Cancel an upload (end-14)', tags: ['uploads'], params: resourceParams } as const
