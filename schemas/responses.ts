/**
 * Responses of the routes, for the OpenAPI document. Bodies are written by the routes as bytes, so nothing here is run.
 */
const text = { type: 'string' } as const

const envelope = {
  type: 'object',
  required: ['errors'],
  properties: {
    errors: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['code'],
        properties: { code: { type: 'string', pattern: '^[A-Z_]+$' }, message: text, detail: {} }
      }
    }
  }
} as const

type Headers = Readonly<Record<string, { readonly type: 'string', readonly description: string }>>

const HEADERS = {
  Location: 'Where it is now.',
  'Docker-Content-Digest': 'Digest of the content.',
  'Docker-Upload-UUID': 'Id of the upload session.',
  Range: 'Bytes received so far: `0-<last>`.',
  ETag: 'The digest, quoted.',
  Link: 'The next page.',
  'OCI-Subject': 'The subject of the manifest, if it has one.',
  'OCI-Tag': 'The tags that were set.',
  'OCI-Filters-Applied': 'Filters the list went through.',
  'Content-Range': 'Which part this is.',
  Warning: 'What is odd although the push was accepted.'
} as const

export type ResponseHeader = keyof typeof HEADERS

/** Keeps the responses out of the routes' types: a reply is not sent through them. */
export function answers (responses: Readonly<Record<number, object>>): unknown {
  return responses
}

/** A response without a body. */
export function empty (description: string, headers: readonly ResponseHeader[] = []) {
  return { description, type: 'null', ...headerSchemas(headers) } as const
}

/** A response with a body of one of the media types. */
export function body (description: string, mediaTypes: readonly string[], headers: readonly ResponseHeader[] = [], schema: object = { type: 'string', format: 'binary' }) {
  return { description, content: Object.fromEntries(mediaTypes.map(type => [type, { schema }])), ...headerSchemas(headers) }
}

/** The error envelope under each of the statuses; every route can also fail with a 500. */
export function errors (...statuses: ReadonlyArray<keyof typeof MEANINGS>): Record<string, object> {
  const all = [...statuses, 401, 403, 500] as const
  return Object.fromEntries(all.map(status => [status, { description: MEANINGS[status], content: { 'application/json': { schema: envelope } } }]))
}

const MEANINGS = {
  400: 'The request is malformed.',
  401: 'Credentials are needed.',
  403: 'The caller may not do this.',
  404: 'There is no such thing.',
  405: 'Switched off.',
  413: 'Too large.',
  414: 'Too many tags.',
  416: 'The range does not fit the content.',
  500: 'The registry or its storage failed.'
} as const

function headerSchemas (names: readonly ResponseHeader[]): { headers?: Headers } {
  if (names.length === 0) return {}
  return { headers: Object.fromEntries(names.map(name => [name, { type: 'string', description: HEADERS[name] }])) }
}
