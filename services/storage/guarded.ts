import type { Readable } from 'node:stream'
import { DriverError } from '../errors/driver-error.js'
import type { ByteRange, Change, FileInfo, FileWriter, MoveOptions, StorageDriver, WriteOptions } from './driver.js'
import { inOrder, oneByOne } from './in-order.js'

// Every segment holds at least one character that is not a dot, so neither `..` nor `.` nor an empty segment passes.
const PATH = /^(?:\/(?!\.+(?:\/|$))[A-Za-z0-9._-]+)+$/

/**
 * Puts the checks that every driver needs in front of it: paths that could leave the root never reach the driver, and
 * an error of a driver that forgot to wrap it is wrapped, cause kept.
 */
export function guarded (driver: StorageDriver, { shortcuts = true }: GuardOptions = {}): StorageDriver {
  return new GuardedDriver(driver, shortcuts)
}

export interface GuardOptions {
  /** False: `readNow`, `statNow` and `apply` are not passed on, so that everything goes through the methods they are short for. */
  readonly shortcuts?: boolean
}

class GuardedDriver implements StorageDriver {
  readonly name: string
  readonly redirects: boolean
  readonly #driver: StorageDriver
  readonly #hasShortcuts: boolean

  constructor (driver: StorageDriver, shortcuts: boolean) {
    this.name = driver.name
    this.redirects = driver.redirects ?? true
    this.#driver = driver
    this.#hasShortcuts = shortcuts
  }

  read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
    return this.#run(path, () => this.#driver.read(path, options))
  }

  readNow (path: string, maxBytes: number): Buffer | undefined {
    try {
      return this.#hasShortcuts && PATH.test(path) ? this.#driver.readNow?.(path, maxBytes) : undefined
    } catch {
      // Only `read` says what is wrong.
      return undefined
    }
  }

  write (path: string, content: Uint8Array, options?: WriteOptions): Promise<void> {
    if (options?.recycle !== undefined && !PATH.test(options.recycle)) return this.#refuse('invalid-path', options.recycle)
    return this.#run(path, () => this.#driver.write(path, content, options))
  }

  createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    if (range !== undefined && !isRange(range)) return this.#refuse('invalid-offset', path)
    return this.#run(path, () => this.#driver.createReadStream(path, range))
  }

  async openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter> {
    const writer = await this.#run(path, () => this.#driver.openWriter(path, options))
    return {
      get size () { return writer.size },
      get version () { return writer.version },
      write: chunks => this.#wrap(path, () => writer.write(chunks)),
      truncate: size => this.#wrap(path, () => writer.truncate(size)),
      close: options => this.#wrap(path, () => writer.close(options)),
      cancel: () => this.#wrap(path, () => writer.cancel()),
      abandon: () => this.#wrap(path, () => writer.abandon?.() ?? writer.close())
    }
  }

  stat (path: string): Promise<FileInfo> {
    return this.#run(path, () => this.#driver.stat(path), { root: true })
  }

  statNow (path: string): FileInfo | null | undefined {
    try {
      return this.#hasShortcuts && PATH.test(path) ? this.#driver.statNow?.(path) : undefined
    } catch {
      return undefined
    }
  }

  list (path: string): Promise<readonly string[]> {
    return this.#run(path, () => this.#driver.list(path), { root: true })
  }

  move (from: string, to: string, options?: MoveOptions): Promise<void> {
    return PATH.test(to) ? this.#run(from, () => this.#driver.move(from, to, options)) : this.#refuse('invalid-path', to)
  }

  apply (changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      const wrong = [change.path, 'to' in change ? change.to : undefined, 'content' in change ? change.options?.recycle : undefined].find(path => path !== undefined && !PATH.test(path))
      if (wrong !== undefined) return this.#refuse('invalid-path', wrong)
    }
    return this.#wrap(changes[0]?.path ?? '/', () => this.#hasShortcuts ? inOrder(this.#driver, changes) : oneByOne(this.#driver, changes))
  }

  delete (path: string): Promise<void> {
    return this.#run(path, () => this.#driver.delete(path))
  }

  prune (path: string): Promise<boolean> {
    return this.#run(path, async () => await this.#driver.prune?.(path) ?? false)
  }

  redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return this.#run(path, () => this.#driver.redirectUrl(path, method))
  }

  close (): Promise<void> {
    return this.#driver.close()
  }

  #run<T> (path: string, operation: () => Promise<T>, { root = false } = {}): Promise<T> {
    return PATH.test(path) || (root && path === '/') ? this.#wrap(path, operation) : this.#refuse('invalid-path', path)
  }

  async #wrap<T> (path: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      if (DriverError.is(error)) throw error
      throw new DriverError('failed', { driver: this.name, path, cause: error })
    }
  }

  async #refuse (kind: 'invalid-path' | 'invalid-offset', path: string): Promise<never> {
    throw new DriverError(kind, { driver: this.name, path: path.slice(0, 1024) })
  }
}

function isRange ({ start, end }: ByteRange): boolean {
  return Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start
}
