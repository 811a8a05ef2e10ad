import { errorMonitor } from 'node:events'
import type { Readable } from 'node:stream'
import type { Attributes } from '@opentelemetry/api'
import { isPathNotFound } from '../errors/driver-error.js'
import type { ByteRange, FileInfo, FileWriter, MoveOptions, StorageDriver, WriteOptions } from '../storage/driver.js'
import { ForwardingDriver } from '../storage/forwarding-driver.js'
import type { Note, Tracing } from './tracing.js'

const PREFIX = 'io.cncf.distribution.storage'

/**
 * Shows in the trace of a request what it asks of storage, under the names of docker's registry. Of streams it shows
 * that they are opened, and how long a written one takes to be made durable; the rest is the client's time.
 */
export class TracedDriver extends ForwardingDriver {
  readonly #tracing: Tracing

  constructor (inner: StorageDriver, tracing: Tracing) {
    super(inner)
    this.#tracing = tracing
  }

  override read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
    return this.#step('GetContent', path, {}, async note => {
      const content = await super.read(path, options)
      note({ [`${PREFIX}.content.length`]: content.length })
      return content
    })
  }

  override write (path: string, content: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.#step('PutContent', path, { [`${PREFIX}.content.length`]: content.length }, () => super.write(path, content, options))
  }

  override createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    const failed = this.#tracing.failure()
    return this.#step('Reader', path, { [`${PREFIX}.offset`]: range?.start ?? 0 }, async () => {
      const stream = await super.createReadStream(path, range)
      // Nobody else can tell it from a client that went away. The monitor hears of it and handles nothing.
      return stream.once(errorMonitor, error => { if (!isAbort(error)) failed(error) })
    })
  }

  override openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter> {
    return this.#step('Writer', path, { [`${PREFIX}.append`]: options?.append ?? false }, async () => {
      const writer = await super.openWriter(path, options)
      return {
        get size () { return writer.size },
        get version () { return writer.version },
        write: chunks => writer.write(chunks),
        truncate: size => writer.truncate(size),
        close: options => this.#step('Writer.Close', path, { [`${PREFIX}.content.length`]: writer.size }, () => writer.close(options)),
        cancel: () => writer.cancel(),
        abandon: () => writer.abandon?.() ?? writer.close()
      }
    })
  }

  override stat (path: string): Promise<FileInfo> {
    return this.#step('Stat', path, {}, () => super.stat(path))
  }

  override list (path: string): Promise<readonly string[]> {
    return this.#step('List', path, {}, () => super.list(path))
  }

  override move (from: string, to: string, options?: MoveOptions): Promise<void> {
    return this.#step('Move', from, { [`${PREFIX}.dest.path`]: to }, () => super.move(from, to, options))
  }

  override delete (path: string): Promise<void> {
    return this.#step('Delete', path, {}, () => super.delete(path))
  }

  override redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return this.#step('RedirectURL', path, {}, () => super.redirectUrl(path, method))
  }

  #step<T> (name: string, path: string, more: Attributes, operation: (note: Note) => Promise<T>): Promise<T> {
    const attributes = { [`${PREFIX}.driver.name`]: this.name, [`${PREFIX}.path`]: path, ...more }
    return this.#tracing.step({ name, attributes, isFault: error => !isPathNotFound(error) }, operation)
  }
}

/** Whoever read it does not want the rest. */
function isAbort (error: Error): boolean {
  return error.name === 'AbortError' || ('code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE')
}
