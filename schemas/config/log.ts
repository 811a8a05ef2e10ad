export const logSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Logging of the standalone server; an embedded registry logs with its host. See docs/logging.md.',
  properties: {
    accesslog: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'A line for each request on standard output.',
      properties: {
        disabled: { type: 'boolean', default: false, description: 'No access log.' },
        format: { type: 'string', enum: ['combined', 'json'], description: 'Ours. combined is the format of Apache; json has the fields of the log. Unless given, combined where log.formatter is text.' }
      }
    },
    audit: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Ours. The line for each write and each refusal.',
      properties: { always: { type: 'boolean', default: false, description: 'Ours. Write it also where the level is above info.' } }
    },
    level: { type: 'string', enum: ['error', 'warn', 'info', 'debug'], default: 'info', description: 'What is logged: error, warn, info or debug.' },
    formatter: { type: 'string', enum: ['text', 'json', 'logstash'], default: 'text', description: 'text for people, in colour on a terminal; json or logstash for machines.' },
    fields: { type: 'object', additionalProperties: { type: 'string' }, default: {}, description: 'Put on every line.' },
    hooks: {
      type: 'array',
      default: [],
      description: 'Mail on errors, in the reference; use the log pipeline instead.',
      items: {
        type: 'object',
        additionalProperties: false,
        properties: {
          disabled: { type: 'boolean' },
          type: { type: 'string' },
          levels: { type: 'array', items: { type: 'string' } },
          options: { type: 'object', additionalProperties: true }
        }
      }
    },
    reportcaller: { type: 'boolean', default: false, description: 'Accepted; there is no caller to report.' }
  }
} as const
