const text = { type: 'string' } as const
const headers = { type: 'object', additionalProperties: { type: 'array', items: text }, default: {} } as const
const duration = { type: 'string', format: 'duration' } as const

const check = { interval: duration, threshold: { type: 'integer' } } as const

export const healthSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    storagedriver: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { enabled: { type: 'boolean', default: false, description: 'Asks the storage regularly.' }, ...check }
    },
    file: { type: 'array', default: [], items: { type: 'object', additionalProperties: false, properties: { file: text, ...check } } },
    http: {
      type: 'array',
      default: [],
      items: { type: 'object', additionalProperties: false, properties: { uri: text, headers, statuscode: { type: 'integer' }, timeout: duration, ...check } }
    },
    tcp: { type: 'array', default: [], items: { type: 'object', additionalProperties: false, properties: { addr: text, timeout: duration, ...check } } }
  }
} as const

export const proxySchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Pull-through cache of another registry.',
  properties: {
    remoteurl: text,
    username: text,
    password: text,
    exec: { type: 'object', additionalProperties: false, properties: { command: text, lifetime: duration } },
    ttl: duration,
    cachewritetimeout: duration
  }
} as const
