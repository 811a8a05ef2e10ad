import type { Readable } from 'node:stream'
import type { ByteRange, Change, FileInfo, FileWriter, MoveOptions, StorageDriver, WriteOptions } from './driver.js'
import { inOrder, oneByOne } from './in-order.js'

/** Passes everything on to another driver: what a decorator extends, to change only what it is about. */
export class ForwardingDriver implements StorageDriver {
  readonly name: string
  readonly redirects: boolean
  protected readonly inner: StorageDriver

  constructor (inner: StorageDriver) {
    this.name = inner.name
    this.redirects = inner.redirects ?? true
    this.inner = inner
  }

  read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
    return this.inner.read(path, options)
  }

  /** Not past a decorator that has a `read` of its own: it is asked with that. */
  readNow (path: string, maxBytes: number): Buffer | undefined {
    return this.read === ForwardingDriver.prototype.read ? this.inner.readNow?.(path, maxBytes) : undefined
  }

  write (path: string, content: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.inner.write(path, content, options)
  }

  createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    return this.inner.createReadStream(path, range)
  }

  openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter> {
    return this.inner.openWriter(path, options)
  }

  stat (path: string): Promise<FileInfo> {
    return this.inner.stat(path)
  }

  /** Not past a decorator that has a `stat` of its own. */
  statNow (path: string): FileInfo | null | undefined {
    return this.stat === ForwardingDriver.prototype.stat ? this.inner.statNow?.(path) : undefined
  }

  list (path: string): Promise<readonly string[]> {
    return this.inner.list(path)
  }

  move (from: string, to: string, options?: MoveOptions): Promise<void> {
    return this.inner.move(from, to, options)
  }

  /** Not past a decorator that has a `write` or a `move` of its own. */
  apply (changes: readonly Change[]): Promise<void> {
    const { write, move } = ForwardingDriver.prototype
    return this.write === write && this.move === move ? inOrder(this.inner, changes) : oneByOne(this, changes)
  }

  delete (path: string): Promise<void> {
    return this.inner.delete(path)
  }

  async prune (path: string): Promise<boolean> {
    return await this.inner.prune?.(path) ?? false
  }

  redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return this.inner.redirectUrl(path, method)
  }

  close (): Promise<void> {
    return this.inner.close()
  }
}

/** A driver that is not ours to close. */
export class KeptOpenDriver extends ForwardingDriver {
  override async close (): Promise<void> {}
}
