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
