import { OciError } from '../errors/oci-error.js'
import type { ByteRange } from '../storage/driver.js'

// dist-spec "Pushing a blob in chunks": `<start>-<end>`, without a unit; some clients send the unit all the same.
const CONTENT_RANGE = /^(?:bytes )?(\d{1,15})-(\d{1,15})$/

/** @throws {OciError} RANGE_INVALID when the header cannot be understood or runs backwards */
export function parseContentRange (header: string): ByteRange {
  const match = CONTENT_RANGE.exec(header.trim())
  const start = Number(match?.[1])
  const end = Number(match?.[2])
  if (match === null || start > end) throw new OciError('RANGE_INVALID', { detail: `cannot use Content-Range: ${header.slice(0, 64)}` })
  return { start, end }
}
