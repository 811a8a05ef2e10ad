/** All warnings of an answer together; dist-spec "Warnings". */
const MAX_BYTES = 4096

/** Values of `Warning` headers (RFC 7234, 299 without an agent), as many as fit. */
export function warningHeaders (texts: readonly string[]): string[] {
  const values: string[] = []
  let bytes = 0
  for (const text of texts) {
    const value = `299 - "${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
    bytes += value.length
    if (bytes > MAX_BYTES) return values
    values.push(value)
  }
  return values
}
