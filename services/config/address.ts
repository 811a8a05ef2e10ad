import { ConfigError } from '../errors/config-error.js'

export interface ListenAddress { readonly host: string, readonly port: number }

/** `host:port`, `[::1]:port`, or `:port` for all interfaces. @throws {ConfigError} */
export function parseAddress (addr: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(addr)
  const port = Number(match?.[3])
  if (match === null || port > 65535) throw new ConfigError(`http.addr: not host:port: ${addr}`)
  return { host: match[1] ?? (match[2] === undefined || match[2] === '' ? '::' : match[2]), port }
}

/** As a URL shows it. */
export function formatAddress ({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
