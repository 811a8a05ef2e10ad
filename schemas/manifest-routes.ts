import type { JSONSchema } from 'json-schema-to-ts'
import { queryValues, resourceParams } from './common.js'

const putManifestQuery = {
  type: 'object',
  properties: { tag: { ...queryValues, description: 'Tags to set in the same step, for a push by digest.' } }
} as const satisfies JSONSchema

export const getManifest = { summary: 'Pull a manifest (end-3)', tags: ['manifests'], params: resourceParams } as const
export const putManifest = { summary: 'Push a manifest (end-7)', tags: ['manifests'], params: resourceParams, querystring: putManifestQuery } as const
export const deleteManifest = { summary: 'Delete a manifest or a tag (end-9)', tags: ['manifests'], params: resourceParams } as const
