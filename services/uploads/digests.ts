import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { readSmall } from '../errors/driver-error.js'
import type { Algorithm, Digest } from '../reference/reference.js'
import { CANONICAL, algorithmOf, digestOf, isDigest } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'

const MAX_FILE_BYTES = 1024
const VERSION = 'version '

/** Digests of the first `offset` bytes of an upload, and of which version of its file, where the driver can tell. */
export interface DigestsAt { readonly offset: number, readonly version?: string | undefined, readonly digests: ReadonlyMap<Algorithm, Digest> }

/** Hashes an upload while it arrives, under one or several algorithms at once. */
export class RunningDigests {
  readonly #hashes: ReadonlyMap<Algorithm, Hash>
  #offset = 0
  /** Of the file that holds what was hashed, as long as nothing is added. */
  version: string | undefined

  constructor (algorithms: Iterable<Algorithm>) {
    this.#hashes = new Map([...new Set([CANONICAL, ...algorithms])].map(algorithm => [algorithm, createHash(algorithm)]))
  }

  /** Bytes hashed so far. */
  get offset (): number {
    return this.#offset
  }

  get algorithms (): Algorithm[] {
    return [...this.#hashes.keys()]
  }

  update (chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      for (const hash of this.#hashes.values()) hash.update(chunk)
      this.#offset += chunk.byteLength
    }
  }

  /** The digests of what was hashed so far; hashing can go on. */
  current (): DigestsAt {
    const digests = [...this.#hashes].map(([algorithm, hash]) => [algorithm, digestOf(algorithm, hash.copy().digest('hex'))] as const)
    return { offset: this.#offset, version: this.version, digests: new Map(digests) }
  }
}

/** Hashes a stored file from its beginning: what remains when no digest was kept, or one of another algorithm is asked for. */
export async function digestFile (driver: StorageDriver, path: string, algorithms: Iterable<Algorithm>): Promise<DigestsAt> {
  const running = new RunningDigests(algorithms)
  for await (const chunk of await driver.createReadStream(path)) running.update([chunk as Buffer])
  return running.current()
}

/**
 * Keeps the digests in the session's directory. A hash in progress cannot be serialised in Node, but its result can:
 * the closing PUT, on any process, then need not read the upload again. Not durable: a lost file costs a second read.
 */
export async function writeDigests (driver: StorageDriver, path: string, { offset, version, digests }: DigestsAt): Promise<void> {
  const lines = [offset, ...digests.values(), ...version === undefined ? [] : [`${VERSION}${version}`]]
  await driver.write(path, Buffer.from(lines.join('\n')), { durable: false })
}

/** Undefined when there are none or the file cannot be understood. */
export async function readDigests (driver: StorageDriver, path: string): Promise<DigestsAt | undefined> {
  const content = await readSmall(driver.read(path, { maxBytes: MAX_FILE_BYTES }))
  if (content === undefined) return undefined
  const lines = content.toString('latin1').split('\n')
  const version = lines.find(line => line.startsWith(VERSION))?.slice(VERSION.length)
  const [offset, ...digests] = lines.filter(line => !line.startsWith(VERSION))
  if (offset === undefined || !/^\d{1,16}$/.test(offset) || !digests.every(isDigest)) return undefined
  return { offset: Number(offset), version, digests: new Map(digests.map(digest => [algorithmOf(digest), digest])) }
}
