import type { StorageDriver } from '../storage/driver.js'
import { ForwardingDriver } from '../storage/forwarding-driver.js'
import { textOption } from './middleware.js'
import type { MiddlewareOptions, StorageMiddleware } from './middleware.js'

interface Rewriting {
  readonly scheme: string | undefined
  readonly host: string | undefined
  readonly trimpathprefix: string | undefined
}

/**
 * `rewrite`: changes scheme, host (with port) and the beginning of the path of the URLs that the driver redirects to.
 * Where the driver gives no URL there is none to change, and the registry serves the blob.
 */
export function rewrite (options: MiddlewareOptions): StorageMiddleware {
  const scheme = textOption(options, 'scheme')
  const host = textOption(options, 'host')
  const trimpathprefix = textOption(options, 'trimpathprefix')
  if (scheme !== undefined && !/^[a-z][a-z0-9+.-]*$/i.test(scheme)) throw new Error(`scheme: a scheme such as https is needed, not ${JSON.stringify(scheme)}`)
  if (host !== undefined && !/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host)) throw new Error(`host: a host is needed, with a port if it has one, not ${JSON.stringify(host)}`)
  return driver => new RewritingDriver(driver, { scheme, host, trimpathprefix })
}

class RewritingDriver extends ForwardingDriver {
  readonly #rewriting: Rewriting

  constructor (inner: StorageDriver, rewriting: Rewriting) {
    super(inner)
    this.#rewriting = rewriting
  }

  override async redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    const url = await this.inner.redirectUrl(path, method)
    return url === null ? null : rewritten(url, this.#rewriting)
  }
}

/** The query, in which a signature may be, stays byte for byte; so does what is not told to change. */
function rewritten (url: string, { scheme, host, trimpathprefix }: Rewriting): string {
  const match = /^([^:/?#]+):\/\/([^/?#]*)([^?#]*)(.*)$/s.exec(url)
  if (match === null) return url
  const [, ownScheme = '', authority = '', path = '', rest = ''] = match
  const trimmed = trimpathprefix !== undefined && path.startsWith(trimpathprefix) ? path.slice(trimpathprefix.length) : path
  const rooted = trimmed === '' || trimmed.startsWith('/') ? trimmed : `/${trimmed}`
  return `${scheme ?? ownScheme}://${host ?? authority}${rooted}${rest}`
}
