const middleware = (of: string) => ({
  type: 'array',
  default: [],
  description: `What is put in front of ${of}, in order: each in front of the ones before it.`,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: {
      name: { type: 'string', description: 'A shipped or registered one, or the path of a module, relative to this file (./mine.js).' },
      disabled: { type: 'boolean', default: false, description: 'Leaves it out.' },
      options: { type: 'object', additionalProperties: true, description: 'What it is told; see docs/middleware.md.' }
    }
  }
} as const)

export const middlewareSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  properties: {
    registry: middleware('the set of all repositories'),
    repository: middleware('each repository'),
    storage: middleware('the storage driver (redirect, rewrite)')
  }
} as const
