import { hexOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'

const SHARDS = 256

/**
 * A set of digests for very many of them. Each is kept as its bytes, one character a byte, in one of 256 sets: about 70
 * bytes of memory per digest, 70 MB for a million, where the text of a digest would take more than twice that; and a
 * single `Set` holds no more than 16.7 million.
 */
export class DigestSet {
  readonly #shards: ReadonlyArray<Set<string>> = Array.from({ length: SHARDS }, () => new Set<string>())

  get size (): number {
    return this.#shards.reduce((sum, { size }) => sum + size, 0)
  }

  has (digest: Digest): boolean {
    const bytes = bytesOf(digest)
    return this.#shard(bytes).has(keyOf(bytes))
  }

  /** False when it was there before. */
  add (digest: Digest): boolean {
    const bytes = bytesOf(digest)
    const shard = this.#shard(bytes)
    const before = shard.size
    return shard.add(keyOf(bytes)).size > before
  }

  #shard (bytes: Buffer): Set<string> {
    return this.#shards[bytes[0] as number] as Set<string> // a digest is never empty
  }
}

function bytesOf (digest: Digest): Buffer {
  return Buffer.from(hexOf(digest), 'hex')
}

/** Algorithms differ in length, so their digests cannot be taken for one another. The first byte is the shard's. */
function keyOf (bytes: Buffer): string {
  return bytes.toString('latin1', 1)
}
