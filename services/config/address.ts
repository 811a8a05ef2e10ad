import { ConfigError } from '../errors/config-error.js'

export type ListenAddress = { readonly host: string, readonly port: number } | { readonly path: string }

/** `host:port`, `[::1]:port`, or `:port` for all interfaces; with net `unix` the path of a socket. @throws {ConfigError} */
export function parseAddress (addr: string, net: 'tcp' | 'unix' = 'tcp', key = 'http.addr'): ListenAddress {
  if (net === 'unix') return { path: addr }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(addr)
  const port = Number(match?.[3])
  if (match === null || port > 65535) throw new ConfigError(`${key}: not host:port: ${addr}`)
  return { host: match[1] ?? (match[2] === undefined || match[2] === '' ? '::' : match[2]), port }
}

/** As a URL shows it, or a path. */
export function formatAddress (address: ListenAddress): string {
  if ('path' in address) return address.path
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}
