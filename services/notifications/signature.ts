import { createHmac } from 'node:crypto'

export interface SignedHeaders {
  readonly 'webhook-id': string
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/**
 * The headers by which a receiver knows that a delivery is ours and not an old one, as standardwebhooks.com has them:
 * HMAC-SHA256 over `<id>.<seconds>.<body>`, in base64. A secret that begins with `whsec_` is base64 itself.
 */
export function sign (secret: string, { id, seconds, body }: { id: string, seconds: number, body: string }): SignedHeaders {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret)
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': `v1,${signature}` }
}
