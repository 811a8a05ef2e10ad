import { azureSchema } from './azure.js'
import { gcsSchema } from './gcs.js'
import { maintenanceSchema } from './maintenance.js'
import { s3Schema } from './s3.js'

export const storageSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Exactly one driver, and what goes for all of them. `storage: inmemory` is short for a driver without parameters.',
  properties: {
    filesystem: {
      type: 'object',
      additionalProperties: false,
      description: 'A local directory, in the layout of docker\'s registry.',
      properties: {
        rootdirectory: { type: 'string', minLength: 1, default: '/var/lib/registry', description: 'Where everything lies; made when missing.' },
        maxthreads: { type: 'integer', description: 'Accepted; Node has its own pool.' },
        fsync: { type: 'boolean', default: true, description: 'Ours. False is faster, but a power cut may lose the last writes.' }
      }
    },
    inmemory: { type: 'object', additionalProperties: false, description: 'Keeps everything in memory, for tests.' },
    s3: s3Schema,
    s3aws: { ...s3Schema, description: 'Another name of s3.' },
    azure: azureSchema,
    gcs: gcsSchema,
    delete: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { enabled: { type: 'boolean', default: false, description: 'Lets clients delete manifests, tags and blobs.' } }
    },
    redirect: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { disable: { type: 'boolean', default: false, description: 'Never sends clients to the storage itself.' } }
    },
    cache: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        blobdescriptor: { type: 'string', description: 'inmemory or redis: where descriptors are remembered; see docs/cache.md. Nowhere, unless given.' },
        layerinfo: { type: 'string', description: 'Old name of blobdescriptor.' },
        blobdescriptorsize: { type: 'integer', default: 10000, description: 'Entries of the inmemory cache; 0 and less mean no limit.' }
      }
    },
    tag: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { concurrencylimit: { type: 'integer', minimum: 0, default: 16, description: 'Accepted; tags are looked up 16 at a time.' } }
    },
    maintenance: maintenanceSchema
  }
} as const
