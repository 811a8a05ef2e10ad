import type { ByteRange } from '../storage/driver.js'

/** What to do about a Range header: send all, send a part, or refuse with 416. */
export type RangeDecision = 'full' | 'unsatisfiable' | ByteRange

const SPEC = /^(\d*)-(\d*)$/

/**
 * Decides on a `Range` header for content of `size` bytes (RFC 9110 §14). Unknown units and what cannot be parsed are
 * ignored; so are lists of several ranges, which are answered with everything. A reversed range is
 * refused, as the conformance program wants it.
 */
export function decideRange (header: string | undefined, size: number): RangeDecision {
  if (header === undefined || !header.startsWith('bytes=')) return 'full'
  const match = SPEC.exec(header.slice('bytes='.length).trim())
  if (match === null) return 'full'
  const [, first = '', last = ''] = match
  if (first === '') return last === '' ? 'full' : suffix(Number(last), size)
  const start = Number(first)
  const end = last === '' ? Infinity : Number(last)
  if (start >= size || end < start) return 'unsatisfiable'
  return { start, end: Math.min(end, size - 1) }
}

function suffix (length: number, size: number): RangeDecision {
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
