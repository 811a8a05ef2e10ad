import type { FromSchema, JSONSchema } from 'json-schema-to-ts'
import { accessSchema } from './access.js'
import { healthSchema } from './health.js'
import { httpSchema } from './http.js'
import { logSchema } from './log.js'
import { middlewareSchema } from './middleware.js'
import { notificationsSchema } from './notifications.js'
import { policySchema } from './policy.js'
import { redisSchema } from './redis.js'
import { proxySchema } from './services.js'
import { storageSchema } from './storage.js'
import { validationSchema } from './validation.js'

/**
 * The configuration, in the shape of docker's registry (`config.yml`). Types, defaults, validation, the example file
 * and the reference in docs/configuration.md all come from here. Keys marked "Ours" have no counterpart there; what is
 * not built yet says so at the start (`services/config/supported.ts`).
 */
export const configSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    version: { type: 'string', const: '0.1', description: 'Version of this format. Required in a file.' },
    log: logSchema,
    loglevel: { type: 'string', description: 'Old name of log.level.' },
    storage: storageSchema,
    auth: accessSchema,
    middleware: middlewareSchema,
    http: httpSchema,
    notifications: notificationsSchema,
    redis: redisSchema,
    health: healthSchema,
    proxy: proxySchema,
    catalog: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { maxentries: { type: 'integer', default: 1000, description: 'Largest page of /v2/_catalog; 0 and less mean 1000.' } }
    },
    tags: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { maxtags: { type: 'integer', minimum: 0, default: 1000, description: 'Largest page of a tag list when a page size is asked for.' } }
    },
    validation: validationSchema,
    policy: policySchema,
    reporting: { type: 'object', additionalProperties: true, description: 'Removed in registry 3: ignored.' },
    compatibility: { type: 'object', additionalProperties: true, description: 'Removed in registry 3: ignored.' }
  }
} as const satisfies JSONSchema

/** A complete configuration: validated, defaults filled in. */
export type RegistryConfig = FromSchema<typeof configSchema>
/** What a user writes: everything that has a default may be left out. */
export type RegistryConfigInput = FromSchema<typeof configSchema, { keepDefaultedPropertiesOptional: true }>
