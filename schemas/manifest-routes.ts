import type { JSONSchema } from 'json-schema-to-ts'
import { queryValues, resourceParams } from './common.js'
import { MANIFEST_MEDIA_TYPES } from './media-types.js'
import { answers, body, empty, errors } from './responses.js'

const putManifestQuery = {
  type: 'object',
  properties: { tag: { ...queryValues, description: 'Tags to set in the same step, for a push by digest.' } }
} as const satisfies JSONSchema

const mediaTypes = Object.keys(MANIFEST_MEDIA_TYPES)

export const getManifest = {
  summary: 'Pull a manifest (end-3)',
  tags: ['manifests'],
  params: resourceParams,
  response: answers({
    200: body('The manifest, as it was pushed.', mediaTypes, ['Docker-Content-Digest', 'ETag'], { type: 'object' }),
    304: empty('The client has it.', ['Docker-Content-Digest', 'ETag']),
    ...errors(400, 404)
  })
} as const

export const putManifest = {
  summary: 'Push a manifest (end-7)',
  tags: ['manifests'],
  consumes: mediaTypes,
  params: resourceParams,
  querystring: putManifestQuery,
  response: answers({
    201: empty('Stored.', ['Location', 'Docker-Content-Digest', 'OCI-Subject', 'OCI-Tag', 'Warning']),
    ...errors(400, 405, 413, 414)
  })
} as const

export const deleteManifest = {
  summary: 'Delete a manifest or a tag (end-9)',
  tags: ['manifests'],
  params: resourceParams,
  response: answers({ 202: empty('Deleted.'), ...errors(400, 404, 405) })
} as const
