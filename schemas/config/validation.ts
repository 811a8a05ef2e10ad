const patterns = (description: string) => ({ type: 'array', items: { type: 'string' }, default: [], description } as const)

export const validationSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    enabled: { type: 'boolean', description: 'Old switch: true overrules disabled.' },
    disabled: { type: 'boolean', default: false, description: 'Accepts manifests whatever they refer to.' },
    manifests: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        urls: {
          type: 'object',
          additionalProperties: false,
          default: {},
          properties: {
            allow: patterns('Regular expressions (RE2) of URLs that layers may have; empty allows all that deny does not match.'),
            deny: patterns('Regular expressions of URLs that layers may not have. Without any rule every URL is accepted.')
          }
        },
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
} as const
