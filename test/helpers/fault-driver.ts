import type { Readable } from 'node:stream'
import { DriverError } from '../../services/errors/driver-error.js'
import type { ByteRange, FileInfo, FileWriter, MoveOptions, StorageDriver, WriteOptions } from '../../services/storage/driver.js'

export type Operation = 'read' | 'write' | 'createReadStream' | 'openWriter' | 'stat' | 'list' | 'move' | 'delete' | 'prune' | 'writer.write' | 'writer.close'

/** What is about to happen in storage. */
export interface Call { readonly operation: Operation, readonly path: string }

/**
 * Passes everything to another driver, but asks `before` first: it may throw (a failing disk), wait (a slow one), or
 * count. `diskFull` makes the error of a full disk.
 */
export class FaultDriver implements StorageDriver {
  readonly name = 'faulty'
  readonly calls: Call[] = []
  before: (call: Call) => void | Promise<void> = () => {}
  readonly #driver: StorageDriver

  constructor (driver: StorageDriver) {
    this.#driver = driver
  }

  async read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
    await this.#announce('read', path)
    return await this.#driver.read(path, options)
  }

  async write (path: string, content: Uint8Array, options?: WriteOptions): Promise<void> {
    await this.#announce('write', path)
    await this.#driver.write(path, content, options)
  }

  async createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    await this.#announce('createReadStream', path)
    return await this.#driver.createReadStream(path, range)
  }

  async openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter> {
    await this.#announce('openWriter', path)
    const writer = await this.#driver.openWriter(path, options)
    return {
      get size () { return writer.size },
      get version () { return writer.version },
      write: async chunks => { await this.#announce('writer.write', path); await writer.write(chunks) },
      truncate: async size => { await writer.truncate(size) },
      close: async options => { await this.#announce('writer.close', path); await writer.close(options) },
      cancel: async () => { await writer.cancel() },
      abandon: async () => { await (writer.abandon?.() ?? writer.close()) }
    }
  }

  async stat (path: string): Promise<FileInfo> {
    await this.#announce('stat', path)
    return await this.#driver.stat(path)
  }

  async list (path: string): Promise<readonly string[]> {
    await this.#announce('list', path)
    return await this.#driver.list(path)
  }

  async move (from: string, to: string, options?: MoveOptions): Promise<void> {
    await this.#announce('move', from)
    await this.#driver.move(from, to, options)
  }

  async delete (path: string): Promise<void> {
    await this.#announce('delete', path)
    await this.#driver.delete(path)
  }

  async prune (path: string): Promise<boolean> {
    await this.#announce('prune', path)
    return await this.#driver.prune?.(path) ?? false
  }

  async redirectUrl (): Promise<null> {
    return null
  }

  async close (): Promise<void> {
    await this.#driver.close()
  }

  async #announce (operation: Operation, path: string): Promise<void> {
    const call = { operation, path }
    this.calls.push(call)
    await this.before(call)
  }
}

export function diskFull ({ path }: Call): DriverError {
  return new DriverError('failed', { driver: 'faulty', path, detail: 'ENOSPC' })
}
