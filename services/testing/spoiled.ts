import { Readable } from 'node:stream'

/** The same bytes, but for one bit of the first one. */
export function corrupted (payload: unknown): unknown {
  if (typeof payload === 'string' || payload instanceof Uint8Array) return flipped(Buffer.from(payload))
  if (payload instanceof Readable) return Readable.from(flippedChunks(payload), { objectMode: false })
  return payload
}

/** A digest in the same form, of nothing that is there. */
export function otherDigest (text: string): string {
  return text.replace(/[a-f0-9](?="?$)/, digit => digit === '0' ? '1' : '0')
}

async function * flippedChunks (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isFirst = true
  for await (const chunk of source) {
    yield isFirst ? flipped(chunk) : chunk
    isFirst = false
  }
}

/** A copy: the bytes are the storage's. */
function flipped (bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  if (copy[0] !== undefined) copy[0] ^= 1
  return copy
}
