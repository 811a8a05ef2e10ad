export const policySchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    audit: { type: 'boolean', default: false, description: 'Ours. Nothing is refused; the log says what would be.' },
    hooks: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        timeout: { type: 'string', format: 'duration', default: '5s', description: 'Ours. How long a hook may take; after that pushes and deletes are refused.' },
        failedreads: { type: 'string', enum: ['deny', 'allow'], default: 'deny', description: 'Ours. What becomes of a pull whose hook fails or takes too long.' }
      }
    },
    repository: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { classes: { type: 'array', items: { type: 'string' }, default: [], description: 'Classes of artifacts that may be pushed: image, plugin.' } }
    }
  }
} as const
