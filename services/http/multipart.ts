import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ByteRange } from '../storage/driver.js'

export interface MultipartBody {
  readonly contentType: string
  /** Bytes of the whole body, known before any of it is read. */
  readonly length: number
  readonly stream: Readable
}

/**
 * A `multipart/byteranges` body (RFC 9110 §14.6): the parts of `size` bytes of content, opened one after the other, so
 * that however many there are only one is in hand.
 */
export function multipartRanges (ranges: readonly ByteRange[], size: number, open: (range: ByteRange) => Promise<Readable>): MultipartBody {
  const boundary = randomUUID()
  const parts = ranges.map((range, i) => ({
    range,
    head: `${i === 0 ? '' : '\r\n'}--${boundary}\r\ncontent-type: application/octet-stream\r\ncontent-range: bytes ${range.start}-${range.end}/${size}\r\n\r\n`
  }))
  const end = `\r\n--${boundary}--\r\n`
  const length = parts.reduce((sum, { range, head }) => sum + head.length + range.end - range.start + 1, end.length)

  async function * body (): AsyncGenerator<Buffer> {
    for (const { range, head } of parts) {
      yield Buffer.from(head, 'latin1')
      yield * await open(range) as AsyncIterable<Buffer>
    }
    yield Buffer.from(end, 'latin1')
  }

  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, stream: Readable.from(body(), { objectMode: false }) }
}
