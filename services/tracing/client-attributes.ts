import type { Attributes } from '@opentelemetry/api'

/** What is known of a request to somebody else. Neither who it is made as nor its query is shown: both may be secrets. */
export function clientAttributes (method: string, url: string): Attributes {
  const { protocol, host, hostname, port, pathname } = new URL(url)
  return {
    'http.request.method': method,
    'url.full': `${protocol}//${host}${pathname}`,
    'server.address': hostname,
    'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  }
}
