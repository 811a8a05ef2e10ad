import { posix } from 'node:path'
import { ForwardingDriver } from '../storage/forwarding-driver.js'
import type { StorageMiddleware } from './middleware.js'
import { textOption } from './middleware.js'
import type { MiddlewareOptions } from './middleware.js'

/** `redirect`: clients get every blob from `baseurl` + its path in storage, for instance from a CDN in front of it. */
export function redirect (options: MiddlewareOptions): StorageMiddleware {
  const baseurl = textOption(options, 'baseurl')
  if (baseurl === undefined) throw new Error('baseurl: is missing')
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(baseurl) || !URL.canParse(baseurl)) throw new Error(`baseurl: a URL with scheme and host is needed, not ${JSON.stringify(baseurl)}`)
  const { protocol, host, pathname } = new URL(baseurl)
  return driver => new RedirectDriver(driver, { origin: `${protocol}//${host}`, basePath: pathname })
}

class RedirectDriver extends ForwardingDriver {
  override readonly redirects = true
  readonly #base: { readonly origin: string, readonly basePath: string }

  constructor (inner: ConstructorParameters<typeof ForwardingDriver>[0], base: { readonly origin: string, readonly basePath: string }) {
    super(inner)
    this.#base = base
  }

  override async redirectUrl (path: string): Promise<string> {
    return this.#base.origin + posix.join(this.#base.basePath, path)
  }
}
