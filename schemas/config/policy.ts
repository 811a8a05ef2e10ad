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
