import { hexOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'

const SHARDS = 256

/**
 * A set of digests for very many of them. Each is kept as its bytes, one character a byte, in one of 256 sets: about 70
 * bytes of memory per digest, 70 MB for a million, where the text of a digest would take more than twice that; and a
 * single `Set` holds no more than 16.7 million.
 */
export class DigestSet {
  readonly #shards: Array<Set<string> | undefined> = new Array(SHARDS).fill(undefined)

  get size (): number {
    return this.#shards.reduce((sum, shard) => sum + (shard?.size ?? 0), 0)
  }

  has (digest: Digest): boolean {
    const bytes = bytesOf(digest)
    return this.#shards[shardOf(bytes)]?.has(keyOf(bytes)) ?? false
  }

  add (digest: Digest): void {
    const bytes = bytesOf(digest)
    const shard = this.#shards[shardOf(bytes)] ??= new Set()
    shard.add(keyOf(bytes))
  }
}

function bytesOf (digest: Digest): Buffer {
  return Buffer.from(hexOf(digest), 'hex')
}

function shardOf (bytes: Buffer): number {
  return bytes[0] as number // a digest is never empty
}

/** Algorithms differ in length, so their digests cannot be taken for one another. The first byte is the shard's. */
function keyOf (bytes: Buffer): string {
  return bytes.toString('latin1', 1)
}
