import type { FromSchema, JSONSchema } from 'json-schema-to-ts'
import { queryValues, resourceParams } from './common.js'
import { answers, empty, errors } from './responses.js'

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

const progress = ['Location', 'Range', 'Docker-Upload-UUID'] as const
const created = empty('The blob is here.', ['Location', 'Docker-Content-Digest'])
const octets = ['application/octet-stream']
const common = { tags: ['uploads'], params: resourceParams } as const

export const startUpload = {
  ...common,
  summary: 'Start an upload, push a blob at once, or mount one (end-4, end-11)',
  consumes: octets,
  querystring: startUploadQuery,
  response: answers({ 201: created, 202: empty('An upload was started.', progress), ...errors(400, 405) })
} as const

export const getUpload = {
  ...common,
  summary: 'Ask how far an upload is (end-13)',
  response: answers({ 204: empty('How far it is.', progress), ...errors(404) })
} as const

export const patchUpload = {
  ...common,
  summary: 'Push a chunk (end-5)',
  consumes: octets,
  response: answers({ 202: empty('Received.', progress), ...errors(400, 404, 405, 416) })
} as const

export const finishUpload = {
  ...common,
  summary: 'Close an upload (end-6)',
  consumes: octets,
  querystring: finishUploadQuery,
  response: answers({ 201: created, ...errors(400, 404, 405, 416) })
} as const

export const cancelUpload = {
  ...common,
  summary: 'Cancel an upload (end-14)',
  response: answers({ 204: empty('It is gone.'), ...errors(404, 405) })
} as const
