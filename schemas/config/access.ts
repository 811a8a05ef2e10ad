const later = { type: 'object', additionalProperties: true } as const

export const accessSchema = {
  type: 'object',
  additionalProperties: false,
  description: 'Who may do what: one of silly, htpasswd and token. `auth: none` is no access control.',
  properties: { none: later, silly: later, htpasswd: later, token: later }
} as const
