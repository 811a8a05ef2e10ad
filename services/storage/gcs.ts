import { ConfigError } from '../errors/config-error.js'
import type { DriverError } from '../errors/driver-error.js'
import { concurrently } from '../registry/concurrently.js'
import type { FileWriter } from './driver.js'
import { FlatDriver } from './flat-driver.js'
import type { StoredObject } from './flat-store.js'
import { GcsAccess } from './gcs-access.js'
import { GcsBucket } from './gcs-bucket.js'
import { codeOf, explainGcs, gcsError, isConflict, isMissing } from './gcs-error.js'
import { gcsLocation } from './gcs-settings.js'
import type { GcsOptions } from './gcs-settings.js'
import { PartMemory } from './part-memory.js'
import { PieceWriter } from './piece-writer.js'
import type { Piece, Pieces, Replacing } from './piece-writer.js'

/** The most that the service makes one object of. */
const MAX_SOURCES = 32
/** What is shorter is fetched and written again, with what comes: an object of many small ones is slow to read. */
const MIN_KEPT_BYTES = 1024 * 1024

/**
 * A bucket of Google Cloud Storage. What is added to a growing file are objects beside it, of which nothing is seen
 * until the service makes one object of it and them.
 */
export class GcsDriver extends FlatDriver {
  readonly name = 'gcs'
  readonly #bucket: GcsBucket
  readonly #memory: PartMemory
  readonly #canSign: boolean

  /** @throws {ConfigError} when Google's library is not installed, or the bucket cannot be listed */
  static async open (options: GcsOptions): Promise<GcsDriver> {
    let bucket: GcsBucket | undefined
    try {
      const access = await GcsAccess.open(options)
      bucket = new GcsBucket(options, access)
      await bucket.holds(bucket.key('/'))
      return new GcsDriver(bucket, { pieceBytes: options.chunksize, canSign: access.canSign })
    } catch (error) {
      bucket?.close()
      if (error instanceof ConfigError) throw error
      throw new ConfigError(`storage.gcs: cannot use ${gcsLocation(options)}: ${explainGcs(error)}`, { cause: gcsError('/', error) })
    }
  }

  private constructor (bucket: GcsBucket, { pieceBytes, canSign }: { pieceBytes: number, canSign: boolean }) {
    super(bucket)
    this.#bucket = bucket
    this.#memory = new PartMemory({ partBytes: pieceBytes })
    this.#canSign = canSign
  }

  override get redirects (): boolean {
    return this.#canSign
  }

  protected override writer (path: string, found: StoredObject): FileWriter {
    const pieces = new GcsPieces(this.#bucket)
    return new PieceWriter({ driver: this.name, store: this.#bucket, pieces, path, memory: this.#memory, wrap: gcsError }, found)
  }

  protected override async copy (source: { readonly key: string, readonly etag: string }, key: string): Promise<void> {
    await this.#bucket.copy(source, key)
  }

  protected override wrap (path: string, error: unknown): DriverError {
    return gcsError(path, error)
  }

  protected override isMissing (error: unknown): boolean {
    return isMissing(error)
  }

  protected override isPastEnd (error: unknown): boolean {
    return codeOf(error) === 'requestedRangeNotSatisfiable'
  }

  protected override async endUnfinished (key: string): Promise<number> {
    return await this.#bucket.deletePieces(key)
  }
}

/** An object. The growing file itself has a generation: it is what it was, or no piece. */
interface GcsPiece extends Piece { readonly name: string, readonly generation?: string }

class GcsPieces implements Pieces<GcsPiece> {
  readonly isConflict = isConflict
  readonly #bucket: GcsBucket

  constructor (bucket: GcsBucket) {
    this.#bucket = bucket
  }

  async keep (key: string, { size: stored, etag }: { readonly size: number, readonly etag: string }, size: number): Promise<GcsPiece[]> {
    return size === stored && size >= MIN_KEPT_BYTES ? [{ name: key, generation: etag, size }] : []
  }

  async send (key: string, body: Buffer): Promise<GcsPiece> {
    const name = this.#bucket.pieceKey(key)
    await this.#bucket.put(name, body)
    return { name, size: body.length }
  }

  async join (key: string, pieces: readonly GcsPiece[], replacing: Replacing): Promise<string> {
    const made: GcsPiece[] = []
    try {
      let sources = pieces
      while (sources.length > MAX_SOURCES) {
        const groups = Array.from({ length: Math.ceil(sources.length / MAX_SOURCES) }, (_, i) => sources.slice(i * MAX_SOURCES, (i + 1) * MAX_SOURCES))
        sources = await concurrently(groups, async group => {
          const name = this.#bucket.pieceKey(key)
          made.push({ name, size: 0 })
          await this.#bucket.compose(name, group)
          return { name, size: 0 }
        })
      }
      const generation = await this.#bucket.compose(key, sources, replacing)
      await this.drop(pieces).catch(() => {}) // goes with the directory
      return generation
    } finally {
      await this.drop(made).catch(() => {})
    }
  }

  async replace (key: string, body: Buffer, replacing: Replacing): Promise<string> {
    return await this.#bucket.replace(key, body, replacing)
  }

  async drop (pieces: readonly GcsPiece[]): Promise<void> {
    await this.#bucket.delete(pieces.filter(({ generation }) => generation === undefined).map(({ name }) => name))
  }
}
