import type { ByteRange } from '../storage/driver.js'

/** What to do about a Range header: send everything, send these parts (at least one), or refuse with 416. */
export type RangeDecision = 'full' | 'unsatisfiable' | readonly ByteRange[]

/** Each part costs a file to open, whatever its size. */
const MAX_PARTS = 512

const SPEC = /^(\d*)-(\d*)$/

/**
 * Decides on a `Range` header for content of `size` bytes (RFC 9110 §14). Unknown units and what cannot be parsed are
 * ignored. Of several ranges those that can be satisfied are sent, in the order asked; together they
 * may not be more than the content itself, or else everything is sent once: a short header must not make us send the
 * same bytes a thousand times.
 */
export function decideRange (header: string | undefined, size: number): RangeDecision {
  if (header === undefined || !header.startsWith('bytes=')) return 'full'
  const ranges: ByteRange[] = []
  let total = 0
  for (const spec of header.slice('bytes='.length).split(',')) {
    const range = parseSpec(spec.trim(), size)
    if (range === 'malformed') return 'full'
    if (range === 'unsatisfiable') continue
    ranges.push(range)
    total += range.end - range.start + 1
  }
  if (ranges.length === 0) return 'unsatisfiable'
  return ranges.length > 1 && (total > size || ranges.length > MAX_PARTS) ? 'full' : ranges
}

/** a range that runs backwards is refused like one beyond the end, as the conformance program wants it. */
function parseSpec (spec: string, size: number): ByteRange | 'malformed' | 'unsatisfiable' {
  const match = SPEC.exec(spec)
  if (match === null) return 'malformed'
  const [, first = '', last = ''] = match
  if (first === '') return last === '' ? 'malformed' : suffix(Number(last), size)
  const start = Number(first)
  const end = last === '' ? Infinity : Number(last)
  return start >= size || end < start ? 'unsatisfiable' : { start, end: Math.min(end, size - 1) }
}

function suffix (length: number, size: number): ByteRange | 'unsatisfiable' {
  if (length === 0 || size === 0) return 'unsatisfiable'
  return { start: Math.max(0, size - length), end: size - 1 }
}

/** True when an `If-None-Match` (or a bare digest, as docker's registry takes it) names the entity tag. */
export function matchesEtag (header: string | undefined, digest: string): boolean {
  if (header === undefined) return false
  return header.split(',').some(item => {
    const tag = item.trim().replace(/^W\//, '')
    return tag === '*' || tag === digest || tag === `"${digest}"`
  })
}
