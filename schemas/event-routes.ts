const list = { type: 'array', items: { type: 'string', maxLength: 256 }, maxItems: 64 } as const

export const getEvents = {
  summary: 'What happens, as server-sent events',
  querystring: {
    type: 'object',
    properties: {
      repository: { ...list, description: 'Pattern of names, such as `team/**`; may be given several times.' },
      action: { type: 'array', items: { type: 'string', enum: ['push', 'pull', 'mount', 'delete'] }, maxItems: 64 }
    }
  },
  headers: { type: 'object', properties: { 'last-event-id': { type: 'string', description: 'The event that was received last.' } } }
} as const
