const interval = { type: 'string', format: 'duration', default: '10s', description: 'From one check to the next; the first one comes after it.' } as const
const threshold = { type: 'integer', minimum: 0, default: 0, description: 'Failures in a row that count; 0 and 1 are the first one.' } as const
const timeout = { type: 'string', format: 'duration', default: '0s', description: 'Of one check; 0s is as long as the interval.' } as const

export const healthSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Checks that run by the clock. While one fails, the standalone server answers every request with 503.',
  properties: {
    storagedriver: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { enabled: { type: 'boolean', default: false, description: 'Asks the storage regularly.' }, interval, threshold }
    },
    file: {
      type: 'array',
      default: [],
      description: 'Files that say by being there that the server is to be taken out of service.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['file'],
        properties: {
          file: { type: 'string', minLength: 1, description: 'Its path.' },
          interval,
          threshold: { type: 'integer', description: 'Accepted; a file counts as soon as it is seen.' }
        }
      }
    },
    http: {
      type: 'array',
      default: [],
      description: 'Other servers that have to answer HEAD requests.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['uri'],
        properties: {
          uri: { type: 'string', pattern: '^https?://[^/]+', description: 'What is asked for.' },
          headers: { type: 'object', additionalProperties: { type: 'array', items: { type: 'string' } }, default: {}, description: 'Of the request: name to list of values.' },
          statuscode: { type: 'integer', default: 200, description: 'What has to be answered.' },
          timeout,
          interval,
          threshold
        }
      }
    },
    tcp: {
      type: 'array',
      default: [],
      description: 'Addresses that have to accept connections.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['addr'],
        properties: { addr: { type: 'string', pattern: ':\\d+$', description: 'host:port' }, timeout, interval, threshold }
      }
    },
    shutdowndelay: {
      type: 'string',
      format: 'duration',
      default: '0s',
      description: 'Ours. How long the port stays open after SIGTERM while /readyz says 503, so that load balancers notice (standalone server).'
    }
  }
} as const
