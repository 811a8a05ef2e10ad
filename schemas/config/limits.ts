export const limitsSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Ours. What is refused with 429 or 503 and a Retry-After before it does harm; nothing unless it is set.',
  properties: {
    requests: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        max: { type: 'integer', minimum: 0, default: 0, description: 'Ours. Requests that one client may make in an interval, counted in Redis where there is one; 0 means any number.' },
        interval: { type: 'string', format: 'duration', default: '1s', description: 'Ours. The time in which requests are counted.' }
      }
    },
    uploads: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        max: { type: 'integer', minimum: 0, default: 0, description: 'Ours. Bodies of blobs that the server receives at a time; 0 means any number.' },
        perclient: { type: 'integer', minimum: 0, default: 0, description: 'Ours. Bodies of blobs that are received of one client at a time; 0 means any number.' }
      }
    },
    eventloopdelay: { type: 'string', format: 'duration', default: '0s', description: 'Ours. While a process is this much behind, it refuses requests; 0s means never.' },
    heap: { type: 'string', format: 'bytes', description: 'Ours. While the heap of a process is larger, it refuses requests.' },
    retryafter: { type: 'string', format: 'duration', default: '5s', description: 'Ours. When to come back, where it is not known better.' }
  }
} as const
