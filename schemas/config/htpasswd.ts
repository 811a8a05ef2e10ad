import { tokenServerSchema } from './token.js'

const text = { type: 'string' } as const
const texts = { type: 'array', items: text } as const

/** Members by group. */
export const groupsSchema = {
  type: 'object',
  additionalProperties: texts,
  description: 'Ours. Groups of users for access: a list of user names for each group.'
} as const

/** Who may do what where. */
export const accessRulesSchema = {
  type: 'array',
  description: 'Ours. Who may do what in which repositories; what no rule allows is denied. Without rules every user may do everything.',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['repositories', 'actions'],
    properties: {
      repositories: { ...texts, minItems: 1, description: 'Globs over whole names: `*` is within a component, `**` across them. `team/**` is all below `team`.' },
      actions: { type: 'array', minItems: 1, items: { type: 'string', enum: ['pull', 'push', 'delete', '*'] }, description: 'pull, push, delete, or `*` for all. Clients push with pull and push.' },
      users: { ...texts, description: 'Users this is for.' },
      groups: { ...texts, description: 'Groups this is for.' },
      authenticated: { type: 'boolean', description: 'For every user.' },
      anonymous: { type: 'boolean', description: 'For everybody, without credentials too.' }
    }
  }
} as const

/** How guessing is slowed down. */
export const throttleSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    free: { type: 'integer', minimum: 1, default: 10, description: 'Ours. Wrong passwords of a user from an address that cost nothing.' },
    delay: { type: 'string', format: 'duration', default: '1s', description: 'Ours. After those, the time to the next attempt; doubled with each.' },
    maxdelay: { type: 'string', format: 'duration', default: '30s', description: 'Ours. The longest time to the next attempt.' }
  }
} as const

export const htpasswdSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['realm', 'path'],
  properties: {
    realm: { ...text, description: 'What clients show when they ask for a password. Required.' },
    path: { ...text, minLength: 1, description: 'File of users with bcrypt hashes (htpasswd -B); made, with a user docker, if missing. Required.' },
    groups: groupsSchema,
    access: accessRulesSchema,
    throttle: throttleSchema,
    tokenserver: tokenServerSchema
  }
} as const
