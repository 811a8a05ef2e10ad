import type { Readable } from 'node:stream'
import { isPathNotFound } from '../errors/driver-error.js'
import type { ByteRange, FileInfo, FileWriter, MoveOptions, StorageDriver, WriteOptions } from '../storage/driver.js'
import { ForwardingDriver } from '../storage/forwarding-driver.js'
import type { RegistryMetrics } from './registry-metrics.js'

/**
 * Takes the time of what storage does, under the names that docker's registry has for it. As there, streams are not
 * timed, because that would be the client's time; whether they can be opened is counted.
 */
export class MeasuredDriver extends ForwardingDriver {
  readonly #metrics: RegistryMetrics

  constructor (inner: StorageDriver, metrics: RegistryMetrics) {
    super(inner)
    this.#metrics = metrics
  }

  override read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
    return this.#timed('GetContent', super.read(path, options))
  }

  override write (path: string, content: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.#timed('PutContent', super.write(path, content, options))
  }

  override createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    return this.#counted('Reader', super.createReadStream(path, range))
  }

  override openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter> {
    return this.#counted('Writer', super.openWriter(path, options))
  }

  override stat (path: string): Promise<FileInfo> {
    return this.#timed('Stat', super.stat(path))
  }

  override list (path: string): Promise<string[]> {
    return this.#timed('List', super.list(path))
  }

  override move (from: string, to: string, options?: MoveOptions): Promise<void> {
    return this.#timed('Move', super.move(from, to, options))
  }

  override delete (path: string): Promise<void> {
    return this.#timed('Delete', super.delete(path))
  }

  override redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return this.#timed('RedirectURL', super.redirectUrl(path, method))
  }

  async #timed<T> (action: string, operation: Promise<T>): Promise<T> {
    const began = performance.now()
    try {
      return await this.#counted(action, operation)
    } finally {
      this.#metrics.stored(action, this.name, (performance.now() - began) / 1000)
    }
  }

  async #counted<T> (action: string, operation: Promise<T>): Promise<T> {
    try {
      return await operation
    } catch (error) {
      if (!isPathNotFound(error)) this.#metrics.storageFailed(action, this.name)
      throw error
    }
  }
}
