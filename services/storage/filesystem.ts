import { statSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { ConfigError } from '../errors/config-error.js'
import { DriverError } from '../errors/driver-error.js'
import type { Eventually } from '../registry/types.js'
import { ChangeThread } from './change-thread.js'
import type { Call, Result } from './changes.js'
import { DirectorySyncs } from './directory-syncs.js'
import type { ByteRange, Change, FileInfo, FileWriter, MoveOptions, StorageDriver, WriteOptions } from './driver.js'
import { DIRECT, MAX_DIRECT_BYTES, POOLED, isLocal, readAll, removeAll } from './file-calls.js'
import type { FileCalls } from './file-calls.js'
import { FileStream } from './file-stream.js'
import { filesystemError } from './filesystem-error.js'
import { oneByOne } from './in-order.js'
import { Listings } from './listings.js'
import { makeDirectory } from './make-directory.js'
import { FilesystemWriter } from './filesystem-writer.js'
import { PooledChanges } from './pooled-changes.js'
import { PromptReads } from './prompt-reads.js'
import type { Settling } from './settling.js'

export interface FilesystemOptions {
  /** Everything lies below this directory; made when missing. */
  readonly rootdirectory: string
  /** False trades the survival of the last writes in a power cut for speed. Default true. */
  readonly fsync?: boolean
  /** Without fsync: the changes in a second from which on they are made on a thread of their own. */
  readonly busy?: number
}

/** Why a directory stays: something is in it, or it is none. */
const KEPT: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY'])

/** What is missing is no error. */
const QUIETLY = { throwIfNoEntry: false } as const

/** The layout of docker's registry on a local disk: `<rootdirectory>/docker/registry/v2/…`. */
export class FilesystemDriver implements StorageDriver {
  readonly name = 'filesystem'
  readonly redirects = false
  readonly #root: string
  readonly #fsync: boolean
  readonly #syncs: DirectorySyncs
  /** Not of a network's file system, whose times are another machine's and may be old. */
  readonly #listings: Listings | undefined
  /** Calls that change nothing. */
  readonly #looks: FileCalls
  /** Calls that change something: with fsync they may have to wait for what is being synced. */
  readonly #changes: FileCalls
  readonly #pooled: PooledChanges
  /** For changes that never have to wait for what is being synced. */
  readonly #thread: ChangeThread | undefined
  readonly #promptReads: PromptReads | undefined

  /** @throws {ConfigError} when the directory cannot be made or written. */
  static async open ({ rootdirectory, fsync = true, busy }: FilesystemOptions): Promise<FilesystemDriver> {
    const root = resolve(rootdirectory)
    try {
      await makeDirectory(root)
      await access(root, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error)
      throw new ConfigError(`storage.filesystem.rootdirectory: cannot write to ${root} (${reason})`, { cause: error })
    }
    return new FilesystemDriver(root, fsync, PromptReads.below(root), new ChangeThread(busy))
  }

  private constructor (root: string, fsync: boolean, promptReads: PromptReads | undefined, thread: ChangeThread) {
    this.#root = root
    this.#fsync = fsync
    this.#syncs = new DirectorySyncs(root)
    const local = isLocal(root)
    this.#looks = local ? DIRECT : POOLED
    this.#listings = local ? new Listings() : undefined
    this.#changes = fsync ? POOLED : this.#looks
    this.#pooled = new PooledChanges(this.#looks)
    this.#thread = this.#changes === DIRECT ? thread : undefined
    this.#promptReads = promptReads
  }

  /** Whether changes are made on a thread of their own at present. */
  get isBusy (): boolean {
    return this.#thread?.isRunning ?? false
  }

  async read (path: string, { maxBytes = Infinity }: { readonly maxBytes?: number } = {}): Promise<Buffer> {
    return await this.#run(path, async () => {
      const fd = await this.#looks.open(this.#file(path), 'r')
      try {
        const { size } = await this.#looks.status(fd)
        if (size > maxBytes) throw new DriverError('too-large', { driver: this.name, path, detail: `longer than ${maxBytes} bytes` })
        return await readAll(fd, size, this.#looks === DIRECT)
      } finally {
        await this.#looks.close(fd)
      }
    })
  }

  readNow (path: string, maxBytes: number): Buffer | undefined {
    return this.#promptReads?.read(this.#file(path), maxBytes)
  }

  async write (path: string, content: Uint8Array, { durable = true, settling, recycle, inPlace }: WriteOptions = {}): Promise<void> {
    await this.#run(path, async () => {
      const target = this.#file(path)
      const spare = recycle === undefined ? undefined : this.#file(recycle)
      if (this.#thread !== undefined && content.byteLength <= MAX_DIRECT_BYTES) return void await result(this.#thread.run([['replace', target, content, spare, inPlace]]))
      const made = await this.#pooled.replace(target, content, { spare, sync: durable && this.#fsync })
      await this.#settle(path, durable ? [target, ...made] : made.slice(1), settling)
    })
  }

  async createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    return await this.#run(path, async () => {
      const fd = await this.#looks.open(this.#file(path), 'r')
      try {
        const status = await this.#looks.status(fd)
        if (!status.isFile()) throw new Error('is not a file')
        return new FileStream(fd, { start: range?.start ?? 0, end: Math.min(range?.end ?? Infinity, status.size - 1) })
      } catch (error) {
        await this.#looks.close(fd)
        throw error
      }
    })
  }

  async openWriter (path: string, { append = false }: { readonly append?: boolean } = {}): Promise<FileWriter> {
    return await this.#run(path, async () => {
      const file = this.#file(path)
      const parts = { path, file, calls: this.#changes, ...(this.#fsync ? { syncs: this.#syncs } : {}) }
      if (append) {
        const fd = await this.#changes.open(file, 'r+')
        return new FilesystemWriter(fd, { ...parts, size: (await this.#looks.status(fd)).size })
      }
      if (this.#thread !== undefined) return new FilesystemWriter(await result(this.#thread.run([['create', file]])) as number, { ...parts, size: 0 })
      const { fd, made } = await this.#pooled.create(file)
      // Nothing is acknowledged of an empty file. Its own name, and that of its directory, are made durable with its
      // first bytes; what was made above them may be used by others before that.
      await this.#settle(path, made.slice(1))
      return new FilesystemWriter(fd, { ...parts, size: 0 })
    })
  }

  async stat (path: string): Promise<FileInfo> {
    return await this.#run(path, async () => {
      const file = this.#file(path)
      const found = await this.#looks.stat(file)
      // Somebody may acknowledge something because of the answer.
      if (this.#fsync) await this.#syncs.settled(file)
      return infoOf(path, found)
    })
  }

  statNow (path: string): FileInfo | null | undefined {
    // Of a name that is being made durable only `stat` waits until it is.
    if (this.#looks !== DIRECT || this.#syncs.isSettling) return undefined
    const found = statSync(this.#file(path), QUIETLY)
    return found === undefined ? null : infoOf(path, found)
  }

  async list (path: string): Promise<readonly string[]> {
    return await this.#run(path, async () => {
      const directory = this.#file(path)
      const at = Date.now()
      const status = await this.#looks.stat(directory)
      const known = this.#listings?.get(path, status)
      if (known !== undefined) return known
      const calls = status.size > MAX_DIRECT_BYTES ? POOLED : this.#looks
      const names = (await calls.readdir(directory)).filter(name => !name.startsWith('.')).sort()
      this.#listings?.keep(path, status, at, names)
      return names
    })
  }

  async move (from: string, to: string, { settling, last = false }: MoveOptions = {}): Promise<void> {
    await this.#run(from, async () => {
      const source = this.#file(from)
      const target = this.#file(to)
      if (this.#thread !== undefined) return void await result(this.#thread.run([['move', source, target, last]]))
      await this.#settle(from, [target, ...await this.#pooled.move(source, target, last)], settling)
    })
  }

  async apply (changes: readonly Change[]): Promise<void> {
    const thread = this.#thread
    if (thread === undefined || changes.some(isLong)) return await oneByOne(this, changes)
    const result = await thread.run(changes.map(change => this.#call(change)))
    if (typeof result === 'object') throw filesystemError(changes[result.at]?.path ?? '/', failure(result))
  }

  async delete (path: string): Promise<void> {
    await this.#run(path, () => removeAll(this.#changes, this.#file(path)))
  }

  async prune (path: string): Promise<boolean> {
    return await this.#run(path, async () => {
      try {
        await this.#changes.rmdir(this.#file(path))
        return true
      } catch (error) {
        // Whoever is about to write into it makes it again: see #inDirectoryOf.
        if (KEPT.has((error as NodeJS.ErrnoException).code ?? '')) return false
        throw error
      }
    })
  }

  async redirectUrl (): Promise<null> {
    return null
  }

  async close (): Promise<void> {
    await this.#thread?.close()
  }

  #file (path: string): string {
    return join(this.#root, path)
  }

  #call (change: Change): Call {
    const file = this.#file(change.path)
    if ('to' in change) return ['move', file, this.#file(change.to), change.options?.last ?? false]
    const { recycle, inPlace } = change.options ?? {}
    return ['replace', file, change.content, recycle === undefined ? undefined : this.#file(recycle), inPlace]
  }

  /** Waits until these names survive a crash, or lets `settling` wait. */
  async #settle (path: string, names: readonly string[], settling?: Settling): Promise<void> {
    if (!this.#fsync) return
    const settled = this.#run(path, () => this.#syncs.settle(names))
    if (settling === undefined) await settled
    else settling.add(settled)
  }

  async #run<T> (path: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      throw filesystemError(path, error)
    }
  }
}

/** More than is written at once. */
function isLong (change: Change): boolean {
  return 'content' in change && change.content.byteLength > MAX_DIRECT_BYTES
}

async function result (asked: Eventually<Result>): Promise<number | undefined> {
  const found = await asked
  if (typeof found === 'object') throw failure(found)
  return found
}

function failure ({ code, message }: Result & object): NodeJS.ErrnoException {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}

function infoOf (path: string, found: Stats): FileInfo {
  const isDirectory = found.isDirectory()
  return { path, size: isDirectory ? 0 : found.size, isDirectory, modified: found.mtime }
}
