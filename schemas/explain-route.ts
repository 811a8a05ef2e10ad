import { queryValues } from './common.js'
import { answers, body, errors } from './responses.js'

const text = { type: 'string' } as const
const decision = { type: 'string', enum: ['allow', 'deny', 'depends'] } as const
const finding = { type: 'object', required: ['rule', 'decision', 'reason'], properties: { rule: text, decision, reason: text } } as const

export const getExplanation = {
  summary: 'Which rule or hook decides, and why',
  tags: ['operations'],
  querystring: {
    type: 'object',
    properties: {
      repository: { ...queryValues, description: 'Repository name.' },
      reference: { ...queryValues, description: 'A tag or a digest.' },
      action: { ...queryValues, description: 'What somebody wants to do: pull, push or delete.' },
      user: { ...queryValues, description: 'Who; the caller unless given, somebody without credentials when empty.' }
    }
  },
  response: answers({
    200: body('The explanation.', ['application/json'], [], {
      type: 'object',
      properties: { repository: text, reference: { type: ['string', 'null'] }, action: text, user: { type: ['string', 'null'] }, decision, decidedBy: finding, findings: { type: 'array', items: finding } }
    }),
    ...errors(400)
  })
} as const
