import type { Readable } from 'node:stream'
import { OciError } from '../errors/oci-error.js'
import { receive } from './receive.js'

/**
 * Reads a manifest's body into memory, up to a limit.
 *
 * @throws {OciError} MANIFEST_INVALID with status 413 as soon as the body, or what it declares, is longer
 */
export async function readLimited (body: Readable, { limit, declared }: { limit: number, declared: number | undefined }): Promise<Buffer> {
  if (declared !== undefined && declared > limit) throw tooLarge(limit)
  const parts: Buffer[] = []
  let bytes = 0
  await receive(body, {
    sink: async chunks => {
      for (const chunk of chunks) bytes += chunk.length
      if (bytes > limit) throw tooLarge(limit)
      // Copied out of the network's buffers, of which a small chunk would keep a large one alive.
      parts.push(Buffer.concat(chunks))
    }
  })
  return parts.length === 1 ? parts[0] as Buffer : Buffer.concat(parts)
}

function tooLarge (limit: number): OciError {
  return new OciError('MANIFEST_INVALID', { status: 413, message: 'manifest too large', detail: `a manifest may have ${limit} bytes` })
}
