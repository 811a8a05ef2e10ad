/** What the last path segment of an upload's Location says. */
export interface UploadLocation {
  readonly id: string
  /** The offset the Location was issued for. Undefined when a client built the URL from the id alone. */
  readonly offset: number | undefined
}

const SEGMENT = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:\.(0|[1-9]\d{0,14}))?$/

/**
 * `<session id>.<offset>`: the state is in the path, so that it survives clients that drop, reorder or re-encode the
 * query, and it is no secret: storage's own offset is the truth, this one only tells a stale Location.
 */
export function formatUploadLocation (id: string, offset: number): string {
  return `${id}.${offset}`
}

export function parseUploadLocation (segment: string): UploadLocation | undefined {
  const match = SEGMENT.exec(segment)
  if (match?.[1] === undefined) return undefined
  return { id: match[1], offset: match[2] === undefined ? undefined : Number(match[2]) }
}
