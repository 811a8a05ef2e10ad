import { createHash } from 'node:crypto'
import { networkOf } from '../http/client-address.js'

const MAX_LENGTH = 128

/**
 * Whom a request is counted for: its user, where somebody has made sure who that is; otherwise the address the server
 * sees, of IPv6 the network. Clients of a Unix socket have no address and count as one.
 */
export function clientOf (user: string | undefined, address: string | undefined): string {
  const client = user === undefined ? `address:${networkOf(address ?? '')}` : `user:${user}`
  return client.length <= MAX_LENGTH ? client : `hash:${createHash('sha256').update(client).digest('base64url')}`
}
