import type { FromSchema, JSONSchema } from 'json-schema-to-ts'

/**
 * The configuration, in the shape of docker's registry (`config.yml`). Types, defaults and validation all come from
 * here; keys marked "ours" have no counterpart there.
 */
export const configSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    version: { type: 'string', const: '0.1', description: 'Version of this format. Required in a file.' },
    log: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        level: { type: 'string', enum: ['error', 'warn', 'info', 'debug'], default: 'info', description: 'What is logged (standalone server).' },
        formatter: { type: 'string', enum: ['text', 'json'], default: 'text', description: 'Lines for people, or JSON (standalone server).' }
      }
    },
    storage: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Exactly one of the drivers `filesystem` and `inmemory`.',
      properties: {
        filesystem: {
          type: 'object',
          additionalProperties: false,
          properties: {
            rootdirectory: { type: 'string', minLength: 1, default: '/var/lib/registry', description: 'Where everything lies; made when missing.' },
            fsync: { type: 'boolean', default: true, description: 'Ours. False: faster, but the last writes may be lost in a power cut.' }
          }
        },
        inmemory: { type: 'object', additionalProperties: false, description: 'Keeps everything in memory, for tests.' },
        delete: {
          type: 'object',
          additionalProperties: false,
          default: {},
          properties: { enabled: { type: 'boolean', default: false, description: 'Lets clients delete manifests, tags and blobs.' } }
        },
        maintenance: {
          type: 'object',
          additionalProperties: false,
          default: {},
          properties: {
            readonly: {
              type: 'object',
              additionalProperties: false,
              default: {},
              properties: { enabled: { type: 'boolean', default: false, description: 'Refuses every push and delete.' } }
            }
          }
        }
      }
    },
    http: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        addr: { type: 'string', minLength: 1, default: '127.0.0.1:5000', description: '`host:port` or `:port` (standalone server).' },
        host: { type: 'string', pattern: '^https?://[^/]+', description: 'External base URL for Location headers; beats what proxies say.' },
        prefix: { type: 'string', pattern: '^/([^/]+/)*$', default: '/', description: 'Path before /v2/, with a slash at both ends (standalone server).' },
        relativeurls: { type: 'boolean', default: false, description: 'Location headers without scheme and host.' },
        secret: { type: 'string', description: 'Accepted for compatibility; upload state needs no secret here.' },
        draintimeout: { type: 'string', default: '0s', description: 'How long requests may finish after SIGTERM (standalone server).' },
        headers: {
          type: 'object',
          default: {},
          additionalProperties: { type: 'array', items: { type: 'string' } },
          description: 'Added to every answer of the API: name to list of values.'
        }
      }
    },
    validation: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        disabled: { type: 'boolean', default: false, description: 'Accepts manifests whatever they refer to.' },
        manifests: {
          type: 'object',
          additionalProperties: false,
          default: {},
          properties: {
            indexes: {
              type: 'object',
              additionalProperties: false,
              default: {},
              properties: {
                platforms: { type: 'string', enum: ['all', 'none', 'list'], default: 'all', description: 'Which children of an index must be in the repository.' },
                platformlist: {
                  type: 'array',
                  default: [],
                  description: 'The platforms whose children must be there, for `platforms: list`.',
                  items: {
                    type: 'object',
                    additionalProperties: false,
                    required: ['architecture', 'os'],
                    properties: { architecture: { type: 'string' }, os: { type: 'string' } }
                  }
                }
              }
            }
          }
        }
      }
    },
    catalog: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { maxentries: { type: 'integer', default: 1000, description: 'Largest page of the catalog.' } }
    },
    tags: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { maxtags: { type: 'integer', minimum: 0, default: 1000, description: 'Largest page of a tag list when a page size is asked for.' } }
    }
  }
} as const satisfies JSONSchema

/** A complete configuration: validated, defaults filled in. */
export type RegistryConfig = FromSchema<typeof configSchema>
/** What a user writes: everything that has a default may be left out. */
export type RegistryConfigInput = FromSchema<typeof configSchema, { keepDefaultedPropertiesOptional: true }>
