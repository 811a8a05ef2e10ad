import { hexOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'

/** By first byte of the digest; 32 MiB in all, of which a small registry needs little. */
const SEGMENTS = 256
const SEGMENT_BYTES = 128 * 1024
const PROBES = 7

/**
 * Remembers which digests were seen, in memory of a bounded size: for ten million digests it takes one in two hundred
 * thousand for seen that was not. Digests are random already, so parts of them do for hashes.
 */
export class DigestFilter {
  readonly #segments: Array<Uint8Array | undefined> = new Array<undefined>(SEGMENTS)

  add (digest: Digest): void {
    const bytes = Buffer.from(hexOf(digest), 'hex')
    const first = bytes[0] as number // a digest is never empty
    const segment = this.#segments[first] ??= new Uint8Array(SEGMENT_BYTES)
    for (const bit of bitsOf(bytes)) (segment[bit >>> 3] as number) |= 1 << (bit & 7)
  }

  /** False is certain. */
  mayHave (digest: Digest): boolean {
    const bytes = Buffer.from(hexOf(digest), 'hex')
    const segment = this.#segments[bytes[0] as number]
    return segment !== undefined && bitsOf(bytes).every(bit => ((segment[bit >>> 3] as number) & (1 << (bit & 7))) !== 0)
  }
}

function bitsOf (bytes: Buffer): number[] {
  return Array.from({ length: PROBES }, (_, i) => bytes.readUInt32LE(4 + 4 * i) % (SEGMENT_BYTES * 8))
}
