import { clipped } from './printable.js'

/** Parameters of ours, and of the clients that ask for tokens. Others may be a signature or a password. */
const KNOWN: ReadonlySet<string> = new Set([
  'digest', 'digest-algorithm', 'mount', 'from', 'tag', 'n', 'last', 'artifactType',
  'account', 'client_id', 'offline_token', 'scope', 'service',
  'action', 'reference', 'repository', 'user'
])
const MAX_LENGTH = 2048

/** A URL as a log may show it: values of parameters that the registry does not know are `***`, and so is a user's part. */
export function shownUrl (url: string): string {
  if (url.length > MAX_LENGTH) url = clipped(url, MAX_LENGTH)
  if (url.charCodeAt(0) !== 47 /* / */) url = url.replace(/^([a-z][\w+.-]*:\/\/)?[^/?#]*@/i, (_user, scheme: string = '') => `${scheme}***@`)
  const query = url.indexOf('?')
  return query === -1 ? url : `${url.slice(0, query)}?${url.slice(query + 1).split('&').map(shownParameter).join('&')}`
}

function shownParameter (parameter: string): string {
  const end = parameter.indexOf('=')
  // A name alone may be the secret.
  if (end === -1) return parameter === '' || KNOWN.has(parameter) ? parameter : '***'
  const name = parameter.slice(0, end)
  return KNOWN.has(name) ? parameter : `${/^[\w.-]{1,40}$/.test(name) ? name : '***'}=***`
}
