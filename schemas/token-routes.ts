import type { JSONSchema } from 'json-schema-to-ts'
import { queryValues } from './common.js'
import { answers, body, errors } from './responses.js'

const tokenQuery = {
  type: 'object',
  properties: {
    service: { ...queryValues, description: 'The registry the token is for, as the challenge names it.' },
    scope: { ...queryValues, description: 'What the token is to be for: `repository:team/app:pull,push`. Several, with blanks between them or as several parameters.' },
    account: { ...queryValues, description: 'Who asks; the credentials count.' },
    client_id: { ...queryValues, description: 'The program that asks.' },
    offline_token: { ...queryValues, description: '`true` asks for a refresh token.' }
  }
} as const satisfies JSONSchema

const token = {
  type: 'object',
  required: ['token', 'access_token', 'expires_in', 'issued_at'],
  properties: {
    token: { type: 'string' },
    access_token: { type: 'string', description: 'The same token.' },
    token_type: { type: 'string', const: 'Bearer' },
    scope: { type: 'string', description: 'What the token is for: no more than was asked for, and perhaps less.' },
    expires_in: { type: 'integer', description: 'Seconds.' },
    issued_at: { type: 'string', format: 'date-time' },
    refresh_token: { type: 'string' }
  }
} as const

const response = answers({ 200: body('A token.', ['application/json'], [], token), ...errors(400) })

export const getToken = { summary: 'Get a token, with user and password or without', tags: ['token'], querystring: tokenQuery, response } as const

export const postToken = {
  summary: 'Get a token with a form (OAuth 2): grant_type, service, scope, client_id, access_type; username and password or refresh_token',
  tags: ['token'],
  response
} as const
