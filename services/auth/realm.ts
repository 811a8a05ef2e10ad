import { externalBase } from '../http/locations.js'
import type { AccessRequest } from './access.js'

/** A Host header that can stand in a URL; anything else is no host of ours. */
const HOST = /^[A-Za-z0-9._\-[\]:]+$/

/**
 * `autoredirect`: the token server is on the host that the client called, `https` unless a proxy says otherwise. Without
 * a usable Host header it is the configured one.
 */
export function autoRedirected (path: string, realm: string): (request: AccessRequest) => string {
  return ({ headers: { host = '', 'x-forwarded-proto': forwarded } }) => {
    if (!HOST.test(host)) return realm
    const scheme = [forwarded].flat()[0]?.split(',')[0]?.trim().toLowerCase() ?? ''
    return `${/^https?$/.test(scheme) ? scheme : 'https'}://${host}${path}`
  }
}

/** The token server of our own: below the URL that Location headers have too, and never a mere path where a host is known. */
export function ownRealm ({ path, prefix, host }: { path: string, prefix: string, host: string | undefined }): (request: AccessRequest) => string {
  return request => `${externalBase({ host, prefix }, request)}${path}`
}
