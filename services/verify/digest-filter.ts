import { hexOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'

const BYTES = 32 * 1024 * 1024
const PROBES = 7

/**
 * Remembers which digests were seen, in memory of a fixed size: for ten million digests it takes one in two hundred
 * thousand for seen that was not. Digests are random already, so parts of them do for hashes.
 */
export class DigestFilter {
  readonly #bits: Uint8Array

  constructor (bytes = BYTES) {
    this.#bits = new Uint8Array(bytes)
  }

  add (digest: Digest): void {
    for (const bit of this.#bitsOf(digest)) (this.#bits[bit >>> 3] as number) |= 1 << (bit & 7)
  }

  /** False is certain. */
  mayHave (digest: Digest): boolean {
    return this.#bitsOf(digest).every(bit => ((this.#bits[bit >>> 3] as number) & (1 << (bit & 7))) !== 0)
  }

  #bitsOf (digest: Digest): number[] {
    const words = Buffer.from(hexOf(digest), 'hex')
    return Array.from({ length: PROBES }, (_, i) => words.readUInt32LE(4 * i) % (this.#bits.length * 8))
  }
}
