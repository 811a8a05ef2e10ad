import { isIP, isIPv6 } from 'node:net'

/** What there is to tell where a request comes from. */
export interface AddressedRequest {
  /** As the server sees it; with `ips` it has decided which proxies to believe. */
  readonly ip?: string | undefined
  readonly ips?: readonly string[] | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly socket?: { readonly remoteAddress?: string | undefined, readonly remotePort?: number | undefined } | undefined
}

/**
 * The client's address, for logs and events, never for access. A server that knows its proxies (`trustProxy`) has
 * decided; otherwise, as in docker's registry, the first of `X-Forwarded-For`, else `X-Real-Ip`, if it is an address,
 * else the other end of the connection with its port. Undefined on a Unix socket.
 */
export function clientAddress ({ ip, ips, headers, socket }: AddressedRequest): string | undefined {
  if (ips !== undefined) return ip
  return forwarded(headers['x-forwarded-for']) ?? forwarded(headers['x-real-ip']) ?? (socket === undefined ? undefined : peerOf(socket))
}

function forwarded (header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  const address = String(header).split(',')[0]?.trim() ?? ''
  return isIP(address) === 0 ? undefined : address
}

/** Connections carry many requests. */
const peers = new WeakMap<object, string>()

function peerOf (socket: NonNullable<AddressedRequest['socket']>): string | undefined {
  const known = peers.get(socket)
  if (known !== undefined) return known
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined) return undefined
  // A socket for both families writes addresses of version 4 as those of version 6.
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '')
  const peer = `${address.includes(':') ? `[${address}]` : address}:${remotePort ?? 0}`
  peers.set(socket, peer)
  return peer
}

/** Whoever has one address of IPv6 has a /64 of them. */
export function networkOf (address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? []
  const [front, back] = [head, tail].map(part => part === '' ? [] : part.split(':')) as [string[], string[]]
  const groups = [...front, ...Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0'), ...back]
  return groups.slice(0, 4).map(group => group.replace(/^0+(?=.)/, '')).join(':')
}
