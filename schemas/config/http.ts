import { limitsSchema } from './limits.js'

export const httpSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    addr: { type: 'string', minLength: 1, default: '127.0.0.1:5000', description: 'host:port, :port for all interfaces, or the path of a socket (standalone server).' },
    net: { type: 'string', enum: ['tcp', 'unix'], default: 'tcp', description: 'What addr is.' },
    prefix: { type: 'string', pattern: '^/([^/]+/)*$', default: '/', description: 'Path before /v2/, with a slash at both ends (standalone server).' },
    host: { type: 'string', pattern: '^https?://[^/]+', description: 'External base URL for Location headers; beats what proxies say.' },
    relativeurls: { type: 'boolean', default: false, description: 'Location headers without scheme and host.' },
    secret: { type: 'string', description: 'Accepted for compatibility; upload state needs no secret here.' },
    trustedproxies: { type: 'array', items: { type: 'string' }, default: [], description: 'Ours. Addresses and networks of proxies whose X-Forwarded-For is believed: what the log and slowed logins take for the client (standalone server).' },
    draintimeout: { type: 'string', format: 'duration', default: '0s', description: 'How long requests may go on after SIGTERM before their connections are cut.' },
    workers: { type: 'string', format: 'workers', default: '1', description: 'Ours. Processes that serve one port together; auto is one per core (standalone server).' },
    headers: {
      type: 'object',
      default: {},
      additionalProperties: { type: 'array', items: { type: 'string' } },
      description: 'Added to every answer of the API: name to list of values.'
    },
    limits: limitsSchema,
    tls: {
      type: 'object',
      additionalProperties: false,
      description: 'Serves HTTPS (standalone server).',
      properties: {
        certificate: { type: 'string', description: 'PEM file, with its chain. Read again when it changes.' },
        key: { type: 'string', description: 'PEM file. Read again when it changes.' },
        clientcas: { type: 'array', items: { type: 'string' }, default: [], description: 'PEM files: asks clients for certificates of these.' },
        clientauth: {
          type: 'string',
          enum: ['require-and-verify-client-cert', 'require-any-client-cert', 'verify-client-cert-if-given', 'request-client-cert'],
          default: 'require-and-verify-client-cert',
          description: 'What is asked of clients, if clientcas are given.'
        },
        minimumtls: { type: 'string', enum: ['tls1.2', 'tls1.3'], default: 'tls1.2', description: 'Oldest version that is spoken.' },
        ciphersuites: { type: 'array', items: { type: 'string' }, default: [], description: 'Suites below TLS 1.3, by their Go names; empty means Go\'s defaults.' },
        letsencrypt: { type: 'object', additionalProperties: true, description: 'Not here: let a reverse proxy do it.' }
      }
    },
    http2: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { disabled: { type: 'boolean', default: false, description: 'With TLS, offers HTTP/1.1 alone (standalone server).' } }
    },
    h2c: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { enabled: { type: 'boolean', default: false, description: 'Without TLS, takes HTTP/2 from clients that begin with it (prior knowledge), and HTTP/1.1 as ever (standalone server).' } }
    },
    debug: {
      type: 'object',
      additionalProperties: false,
      properties: {
        addr: { type: 'string', description: 'host:port of the debug server.' },
        prometheus: {
          type: 'object',
          additionalProperties: false,
          default: {},
          properties: {
            enabled: { type: 'boolean', default: false, description: 'Serves metrics there.' },
            path: { type: 'string', default: '/metrics', description: 'Path of the metrics.' }
          }
        }
      }
    }
  }
} as const
