import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { DriverError } from '../errors/driver-error.js'
import { concurrently } from '../registry/concurrently.js'
import type { ByteRange, FileInfo, FileWriter, MoveOptions, StorageDriver } from './driver.js'
import { versionOf } from './flat-store.js'
import type { FlatStore, StoredBody, StoredObject } from './flat-store.js'
import { storedStream } from './resumed-stream.js'

/**
 * The layout of docker's registry in a store that has objects and no directories: `<rootdirectory>/docker/registry/v2/…`.
 * Directories are what keys begin with, so a name can be both a file and a directory; nothing in the layout is. `move`
 * copies and then deletes: the target appears at once, the source is gone a little later, also after a crash in between.
 */
export abstract class FlatDriver implements StorageDriver {
  abstract readonly name: string
  readonly #store: FlatStore

  constructor (store: FlatStore) {
    this.#store = store
  }

  get redirects (): boolean {
    return true
  }

  async read (path: string, { maxBytes = Infinity }: { readonly maxBytes?: number } = {}): Promise<Buffer> {
    return await this.#run(path, async () => {
      const found = await this.get(path)
      if (found === undefined) return Buffer.alloc(0)
      if (found.size > maxBytes) {
        found.body.destroy()
        throw this.#error('too-large', path, `longer than ${maxBytes} bytes`)
      }
      return await buffer(this.#stream(path, found, 0))
    })
  }

  async write (path: string, content: Uint8Array): Promise<void> {
    // A copy: it is read when it is sent, and again when it is sent again.
    await this.#run(path, () => this.#store.put(this.#key(path), Buffer.from(content)))
  }

  async createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    return await this.#run(path, async () => {
      const found = await this.get(path, range)
      return found === undefined ? Readable.from([], { objectMode: false }) : this.#stream(path, found, range?.start ?? 0)
    })
  }

  async openWriter (path: string, { append = false }: { readonly append?: boolean } = {}): Promise<FileWriter> {
    return await this.#run(path, async () => {
      const key = this.#key(path)
      const found: StoredObject | undefined = append
        ? await this.#store.head(key)
        : { size: 0, etag: await this.#store.put(key, Buffer.alloc(0)), modified: new Date(0), metadata: {} }
      if (found === undefined) throw await this.#missing(path)
      return this.writer(path, found)
    })
  }

  async stat (path: string): Promise<FileInfo> {
    return await this.#run(path, async () => {
      const found = path === '/' ? undefined : await this.#store.head(this.#key(path))
      if (found !== undefined) return { path, size: this.sizeOf(found), isDirectory: false, modified: found.modified, version: this.versionOf(found) }
      // Also of the root, which always exists: whoever asks wants to know whether the store answers.
      if (!await this.#store.holds(this.#below(path)) && path !== '/') throw this.#error('path-not-found', path)
      return { path, size: 0, isDirectory: true, modified: new Date(0) }
    })
  }

  async list (path: string): Promise<string[]> {
    return await this.#run(path, async () => {
      const prefix = this.#below(path)
      const names = new Set<string>()
      for await (const { keys, directories } of this.#store.list(prefix, { direct: true })) {
        for (const key of keys) names.add(key.slice(prefix.length))
        for (const directory of directories) names.add(directory.slice(prefix.length, -1))
      }
      names.delete('') // what consoles make to show a directory
      if (names.size === 0 && path !== '/') throw this.#error('path-not-found', path)
      return [...names].sort()
    })
  }

  async move (from: string, to: string, { version }: MoveOptions = {}): Promise<void> {
    await this.#run(from, async () => {
      const found = await this.#store.head(this.#key(from))
      if (found === undefined) return await this.#moveDirectory(from, to)
      if (version !== undefined && version !== this.versionOf(found)) throw this.#error('changed', from)
      await this.moveFile(from, to, found, { isExact: version !== undefined })
    })
  }

  async delete (path: string): Promise<void> {
    await this.#run(path, async () => {
      const key = this.#key(path)
      const [file, below, ended] = await Promise.all([this.#store.head(key), this.#keysBelow(path), this.endUnfinished(key, this.#below(path))])
      if (file === undefined && below.length === 0 && ended === 0) throw this.#error('path-not-found', path)
      await this.#store.delete(file === undefined ? below : [key, ...below])
    })
  }

  async redirectUrl (path: string, method: 'GET' | 'HEAD'): Promise<string | null> {
    return await this.#run(path, () => this.#store.signedUrl(this.#key(path), method))
  }

  async close (): Promise<void> {
    this.#store.close()
  }

  /** What adds to the file that was found. */
  protected abstract writer (path: string, found: StoredObject): FileWriter

  /** Copies within the store. The copy appears at once, when all of it is there. */
  protected abstract copy (source: { readonly key: string, readonly etag: string, readonly size: number }, key: string): Promise<void>

  /** Wraps what the store's client threw. */
  protected abstract wrap (path: string, error: unknown): DriverError

  /** Whether the error says that there is no such object. */
  protected abstract isMissing (error: unknown): boolean

  /** Whether the error says that the range begins at or after the end. */
  protected abstract isPastEnd (error: unknown): boolean

  /** How long the file is. */
  protected sizeOf ({ size }: StoredObject): number {
    return size
  }

  /** Names all bytes of the file. */
  protected versionOf (found: StoredObject): string {
    return versionOf(found)
  }

  /** Ends what writers left unfinished at the key and below the prefix, and says how much that was. Called before anything is deleted there. */
  protected async endUnfinished (_key: string, _prefix: string): Promise<number> {
    return 0
  }

  /** Undefined when the range begins at or after the end. */
  protected async get (path: string, range?: ByteRange): Promise<StoredBody | undefined> {
    try {
      return await this.#store.get(this.#key(path), { range: range === undefined ? undefined : `bytes=${range.start}-${range.end}` })
    } catch (error) {
      if (this.isPastEnd(error)) return undefined
      throw this.isMissing(error) ? await this.#missing(path) : error
    }
  }

  /** With `isExact` what is moved is what was found, or nothing. */
  protected async moveFile (from: string, to: string, { size, etag }: StoredObject, _options?: { readonly isExact: boolean }): Promise<void> {
    if (from === to) return
    await this.copy({ key: this.#key(from), etag, size }, this.#key(to))
    await this.#store.delete([this.#key(from)])
  }

  #key (path: string): string {
    return this.#store.key(path)
  }

  #below (path: string): string {
    return path === '/' ? this.#key('/') : `${this.#key(path)}/`
  }

  async #keysBelow (path: string): Promise<string[]> {
    const found: string[] = []
    for await (const { keys } of this.#store.list(this.#below(path))) found.push(...keys)
    return found
  }

  #stream (path: string, found: StoredBody, start: number): Readable {
    return storedStream(this.#store, this.#key(path), found, { start, wrap: error => this.wrap(path, error) })
  }

  async #moveDirectory (from: string, to: string): Promise<void> {
    const below = this.#below(from)
    const paths = (await this.#keysBelow(from)).map(key => key.slice(below.length))
    if (paths.length === 0) throw this.#error('path-not-found', from)
    if (to === from) return
    if (to.startsWith(`${from}/`)) throw this.#error('failed', from, 'cannot be moved below itself')
    await concurrently(paths, async path => {
      const found = await this.#store.head(`${below}${path}`)
      if (found !== undefined) await this.moveFile(`${from}/${path}`, `${to}/${path}`, found, { isExact: false })
    })
  }

  /** What it means that there is no object: nothing at all, or a directory. */
  async #missing (path: string): Promise<DriverError> {
    return await this.#store.holds(this.#below(path)) ? this.#error('failed', path, 'is a directory') : this.#error('path-not-found', path)
  }

  #error (kind: 'path-not-found' | 'too-large' | 'changed' | 'failed', path: string, detail?: string): DriverError {
    return new DriverError(kind, { driver: this.name, path, ...detail === undefined ? {} : { detail } })
  }

  async #run<T> (path: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      throw this.wrap(path, error)
    }
  }
}
