import { randomBytes } from 'node:crypto'
import { ConfigError } from '../errors/config-error.js'
import { DriverError } from '../errors/driver-error.js'
import { azureCredential } from './azure-access.js'
import { AzureContainer, isConflict } from './azure-container.js'
import type { AzureBlock } from './azure-container.js'
import { azureError, codeOf, explainAzure, isMissing } from './azure-error.js'
import { loadAzureSdk } from './azure-sdk.js'
import { azureLocation } from './azure-settings.js'
import type { AzureOptions } from './azure-settings.js'
import type { FileWriter } from './driver.js'
import { FlatDriver } from './flat-driver.js'
import type { StoredObject } from './flat-store.js'
import { PartMemory } from './part-memory.js'
import { PieceWriter } from './piece-writer.js'
import type { Pieces } from './piece-writer.js'

/** A blob has at most 50000 blocks: with these, 390 GiB. */
const BLOCK_BYTES = 8 * 1024 * 1024

/**
 * A container of Azure Blob Storage. Everything is a block blob: what is added to a growing file are blocks, of which
 * nothing is seen until the list of blocks is committed.
 */
export class AzureDriver extends FlatDriver {
  readonly name = 'azure'
  readonly #container: AzureContainer
  readonly #memory = new PartMemory({ partBytes: BLOCK_BYTES })

  /** @throws {ConfigError} when the SDK is not installed, or the container cannot be listed */
  static async open (options: AzureOptions): Promise<AzureDriver> {
    let container: AzureContainer | undefined
    try {
      const sdk = await loadAzureSdk()
      container = new AzureContainer(sdk, options, await azureCredential(sdk, options))
      if (options.trimlegacyrootprefix === undefined) await container.detectLead()
      await container.holds(container.key('/'))
      return new AzureDriver(container)
    } catch (error) {
      container?.close()
      if (error instanceof ConfigError) throw error
      throw new ConfigError(`storage.azure: cannot use ${azureLocation(options)}: ${explainAzure(error)}`, { cause: azureError('/', error) })
    }
  }

  private constructor (container: AzureContainer) {
    super(container)
    this.#container = container
  }

  protected override writer (path: string, found: StoredObject): FileWriter {
    const pieces = new AzureBlocks(this.#container, path)
    return new PieceWriter({ driver: this.name, store: this.#container, pieces, path, memory: this.#memory, wrap: azureError }, found)
  }

  protected override async copy (source: { readonly key: string, readonly etag: string }, key: string): Promise<void> {
    await this.#container.copy(source, key)
  }

  protected override wrap (path: string, error: unknown): DriverError {
    return azureError(path, error)
  }

  protected override isMissing (error: unknown): boolean {
    return isMissing(error)
  }

  protected override isPastEnd (error: unknown): boolean {
    return codeOf(error) === 'InvalidRange'
  }
}

/** The blocks of one writer. Names are its own, so that nothing of another one is taken for them. */
class AzureBlocks implements Pieces<AzureBlock> {
  readonly isConflict = isConflict
  readonly #container: AzureContainer
  readonly #path: string
  readonly #writer = randomBytes(12)
  #count = 0

  constructor (container: AzureContainer, path: string) {
    this.#container = container
    this.#path = path
  }

  async keep (key: string, object: { readonly etag: string }, size: number): Promise<AzureBlock[]> {
    const { etag, blocks } = await this.#container.blocks(key)
    if (etag !== undefined && etag !== object.etag) throw new DriverError('failed', { driver: 'azure', path: this.#path, detail: 'somebody else has written to the file' })
    const kept: AzureBlock[] = []
    let bytes = 0
    for (const block of blocks) {
      bytes += block.size
      // A short one at the end is fetched and goes on: a blob has not room for many of them.
      if (bytes > size || (bytes === size && block.size < BLOCK_BYTES)) break
      kept.push(block)
    }
    return kept
  }

  async send (key: string, body: Buffer): Promise<AzureBlock> {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(this.#count++)
    const id = Buffer.concat([this.#writer, number]).toString('base64')
    await this.#container.stageBlock(key, id, body)
    return { id, size: body.length }
  }

  async join (key: string, blocks: readonly AzureBlock[], replacing: { readonly etag: string, readonly mark: string }): Promise<string> {
    return await this.#container.commitBlocks(key, blocks.map(({ id }) => id), replacing)
  }

  async replace (key: string, body: Buffer, replacing: { readonly etag: string, readonly mark: string }): Promise<string> {
    return await this.#container.replace(key, body, replacing)
  }

  /** The next commit leaves them out, and the store forgets them then, or after a week. */
  async drop (): Promise<void> {}
}
