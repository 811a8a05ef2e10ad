export interface BasicCredentials { readonly user: string, readonly password: string }

const BASIC = /^basic +([A-Za-z0-9+/]*={0,2})$/i

/** What an Authorization header of the Basic scheme says (RFC 7617). Undefined for any other header. */
export function parseBasic (authorization: string | undefined): BasicCredentials | undefined {
  const encoded = authorization === undefined ? undefined : BASIC.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** A challenge's parameter: in quotes, and with nothing in it that a header cannot hold. */
export function quoted (text: string): string {
  // Headers are bytes: what is not ASCII travels as UTF-8.
  return Buffer.from(JSON.stringify(text).replaceAll('\u007f', '\\u007f')).toString('latin1')
}
