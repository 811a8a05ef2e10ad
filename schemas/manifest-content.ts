import type { FromSchema, JSONSchema } from 'json-schema-to-ts'

/**
 * The structure of manifests, as far as the registry depends on it (image-spec: descriptor, manifest, index). Unknown
 * fields, media types and annotations are none of its business and pass. `false` forbids what belongs to the
 * other kind, so that no two clients can read one manifest in two ways (R-182, CVE-2021-41190).
 */
const descriptor = {
  type: 'object',
  required: ['mediaType', 'digest', 'size'],
  properties: {
    mediaType: { type: 'string', minLength: 1 },
    digest: { type: 'string' },
    size: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    urls: { type: 'array', items: { type: 'string' } }
  }
} as const satisfies JSONSchema

const common = {
  schemaVersion: { const: 2 },
  mediaType: { type: 'string' },
  artifactType: { type: 'string' },
  subject: descriptor
} as const

export const imageManifestSchema = {
  type: 'object',
  required: ['schemaVersion', 'config', 'layers'],
  properties: { ...common, config: descriptor, layers: { type: 'array', items: descriptor }, manifests: false }
} as const satisfies JSONSchema

const child = {
  type: 'object',
  required: descriptor.required,
  properties: {
    ...descriptor.properties,
    platform: { type: 'object', properties: { architecture: { type: 'string' }, os: { type: 'string' } } }
  }
} as const satisfies JSONSchema

export const indexSchema = {
  type: 'object',
  required: ['schemaVersion', 'manifests'],
  properties: { ...common, manifests: { type: 'array', items: child }, config: false, layers: false }
} as const satisfies JSONSchema

export type ContentDescriptor = FromSchema<typeof descriptor>
export type ImageManifest = FromSchema<typeof imageManifestSchema>
export type Index = FromSchema<typeof indexSchema>
