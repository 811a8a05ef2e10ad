import type { Readable } from 'node:stream'
import { DriverError } from '../errors/driver-error.js'
import type { ByteRange, FileInfo, FileWriter, StorageDriver, WriteOptions } from './driver.js'

// Every segment holds at least one character that is not a dot, so neither `..` nor `.` nor an empty segment passes.
const PATH = /^(?:\/(?!\.+(?:\/|$))[A-Za-z0-9._-]+)+$/

/**
 * Puts the checks that every driver needs in front of it: paths that could leave the root never reach the driver, and
 * an error of a driver that forgot to wrap it is wrapped, cause kept.
 */
export function guarded (driver: StorageDriver): StorageDriver {
  return new GuardedDriver(driver)
}

class GuardedDriver implements StorageDriver {
  readonly name: string
  readonly #driver: StorageDriver

  constructor (driver: StorageDriver) {
    this.name = driver.name
    this.#driver = driver
  }

  read (path: string, options?: { readonly maxBytes?: number }): Promise<Buffer> {
    return this.#run(path, () => this.#driver.read(path, options))
  }

  write (path: string, content: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.#run(path, () => this.#driver.write(path, content, options))
  }

  createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    if (range !== undefined && !isRange(range)) return this.#refuse('invalid-offset', path)
    return this.#run(path, () => this.#driver.createReadStream(path, range))
  }

  openWriter (path: string, options?: { readonly append?: boolean }): Promise<FileWriter> {
    return this.#run(path, () => this.#driver.openWriter(path, options))
  }

  stat (path: string): Promise<FileInfo> {
    return path === '/' ? this.#driver.stat(path) : this.#run(path, () => this.#driver.stat(path))
  }

  list (path: string): Promise<string[]> {
    return path === '/' ? this.#driver.list(path) : this.#run(path, () => this.#driver.list(path))
  }

  move (from: string, to: string): Promise<void> {
    return PATH.test(to) ? this.#run(from, () => this.#driver.move(from, to)) : this.#refuse('invalid-path', to)
  }

  delete (path: string): Promise<void> {
    return this.#run(path, () => this.#driver.delete(path))
  }

  redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return this.#run(path, () => this.#driver.redirectUrl(path, method))
  }

  close (): Promise<void> {
    return this.#driver.close()
  }

  async #run<T> (path: string, operation: () => Promise<T>): Promise<T> {
    if (!PATH.test(path)) return await this.#refuse('invalid-path', path)
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
