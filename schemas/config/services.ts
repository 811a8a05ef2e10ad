const text = { type: 'string' } as const
const duration = { type: 'string', format: 'duration' } as const

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
