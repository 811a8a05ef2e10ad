import { htpasswdSchema } from './htpasswd.js'
import { tokenSchema } from './token.js'

export const accessSchema = {
  type: 'object',
  additionalProperties: false,
  description: 'Who may do what: one of silly, htpasswd and token. `auth: none` is no access control.',
  properties: {
    none: { type: 'object', additionalProperties: false, description: 'Ours. Everybody may do everything.' },
    silly: {
      type: 'object',
      additionalProperties: false,
      required: ['realm', 'service'],
      description: 'For development: any Authorization header is let in.',
      properties: {
        realm: { type: 'string', description: 'Of the challenge. Required.' },
        service: { type: 'string', description: 'Of the challenge. Required.' }
      }
    },
    htpasswd: htpasswdSchema,
    token: tokenSchema
  }
} as const

const middleware = {
  type: 'array',
  default: [],
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: { name: { type: 'string' }, disabled: { type: 'boolean', default: false }, options: { type: 'object', additionalProperties: true } }
  }
} as const

export const middlewareSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: { registry: middleware, repository: middleware, storage: middleware }
} as const

export const policySchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    repository: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { classes: { type: 'array', items: { type: 'string' }, default: [], description: 'Classes of artifacts that may be pushed: image, plugin.' } }
    }
  }
} as const
