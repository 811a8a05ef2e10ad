import { randomUUID } from 'node:crypto'
import { close, fstat, open as openCallback } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { access, constants, mkdir, open, readFile, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { ConfigError } from '../errors/config-error.js'
import { DriverError } from '../errors/driver-error.js'
import type { ByteRange, FileInfo, FileWriter, StorageDriver, WriteOptions } from './driver.js'
import { FileStream } from './file-stream.js'
import { filesystemError } from './filesystem-error.js'
import { FilesystemWriter } from './filesystem-writer.js'
import { PromptReads } from './prompt-reads.js'

export interface FilesystemOptions {
  /** Everything lies below this directory; made when missing. */
  readonly rootdirectory: string
  /** False trades the survival of the last writes in a power cut for speed. Default true. */
  readonly fsync?: boolean
}

const openFile = promisify(openCallback)
const closeFile = promisify(close)
const fileStatus = promisify(fstat)

// A temporary file lies beside its target, so that the rename stays in one file system. No name of the layout begins
// with a dot, so what a crash leaves behind is never listed.
const TEMPORARY_PREFIX = '.tmp-'

/** Why a directory stays: something is in it, or it is none. */
const KEPT: ReadonlySet<string> = new Set(['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY'])

/** The layout of docker's registry on a local disk: `<rootdirectory>/docker/registry/v2/…`. */
export class FilesystemDriver implements StorageDriver {
  readonly name = 'filesystem'
  readonly redirects = false
  readonly #root: string
  readonly #fsync: boolean
  readonly #promptReads: PromptReads | undefined

  /** @throws {ConfigError} when the directory cannot be made or written. */
  static async open ({ rootdirectory, fsync = true }: FilesystemOptions): Promise<FilesystemDriver> {
    const root = resolve(rootdirectory)
    try {
      await makeDirectory(root)
      await access(root, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error)
      throw new ConfigError(`storage.filesystem.rootdirectory: cannot write to ${root} (${reason})`, { cause: error })
    }
    return new FilesystemDriver(root, fsync, await PromptReads.below(root))
  }

  private constructor (root: string, fsync: boolean, promptReads: PromptReads | undefined) {
    this.#root = root
    this.#fsync = fsync
    this.#promptReads = promptReads
  }

  async read (path: string, { maxBytes }: { readonly maxBytes?: number } = {}): Promise<Buffer> {
    if (maxBytes === undefined) return await this.#run(path, () => readFile(this.#file(path)))
    return await this.#run(path, async () => {
      const handle = await open(this.#file(path))
      try {
        const { size } = await handle.stat()
        if (size > maxBytes) throw new DriverError('too-large', { driver: this.name, path, detail: `longer than ${maxBytes} bytes` })
        return await handle.readFile()
      } finally {
        await handle.close()
      }
    })
  }

  readNow (path: string, maxBytes: number): Buffer | undefined {
    return this.#promptReads?.read(this.#file(path), maxBytes)
  }

  async write (path: string, content: Uint8Array, { durable = true }: WriteOptions = {}): Promise<void> {
    await this.#run(path, async () => {
      const target = this.#file(path)
      const temporary = join(dirname(target), `${TEMPORARY_PREFIX}${randomUUID()}`)
      const handle = await this.#inDirectoryOf(target, () => open(temporary, 'wx'))
      try {
        try {
          await handle.writeFile(content)
          if (durable && this.#fsync) await handle.sync()
        } finally {
          await handle.close()
        }
        await rename(temporary, target)
      } catch (error) {
        await unlink(temporary).catch(() => {})
        throw error
      }
      if (durable) await this.#syncDirectory(dirname(target))
    })
  }

  async createReadStream (path: string, range?: ByteRange): Promise<Readable> {
    return await this.#run(path, async () => {
      const fd = await openFile(this.#file(path), 'r')
      try {
        const { size, isFile } = await fileStatus(fd).then(status => ({ size: status.size, isFile: status.isFile() }))
        if (!isFile) throw new Error('is not a file')
        return new FileStream(fd, { start: range?.start ?? 0, end: Math.min(range?.end ?? Infinity, size - 1) })
      } catch (error) {
        await closeFile(fd)
        throw error
      }
    })
  }

  async openWriter (path: string, { append = false }: { readonly append?: boolean } = {}): Promise<FileWriter> {
    return await this.#run(path, async () => {
      const file = this.#file(path)
      const handle = append ? await open(file, 'r+') : await this.#inDirectoryOf(file, () => open(file, 'w'))
      try {
        const { size } = await handle.stat()
        // The new name in the directory must be as durable as the bytes that will be acknowledged.
        if (!append) await this.#syncDirectory(dirname(file))
        return new FilesystemWriter(handle, { path, file, size, fsync: this.#fsync })
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async stat (path: string): Promise<FileInfo> {
    return await this.#run(path, async () => {
      const found = await stat(this.#file(path))
      const isDirectory = found.isDirectory()
      return { path, size: isDirectory ? 0 : found.size, isDirectory, modified: found.mtime }
    })
  }

  async list (path: string): Promise<string[]> {
    const names = await this.#run(path, () => readdir(this.#file(path)))
    return names.filter(name => !name.startsWith('.')).sort()
  }

  async move (from: string, to: string): Promise<void> {
    await this.#run(from, async () => {
      const source = this.#file(from)
      const target = this.#file(to)
      await stat(source) // a missing source must not make the target's directories
      await this.#inDirectoryOf(target, () => rename(source, target))
      await this.#syncDirectory(dirname(target))
    })
  }

  async delete (path: string): Promise<void> {
    // Without `force`: a missing path is an error of the contract.
    await this.#run(path, () => rm(this.#file(path), { recursive: true }))
  }

  async prune (path: string): Promise<boolean> {
    return await this.#run(path, async () => {
      try {
        await rmdir(this.#file(path))
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

  async close (): Promise<void> {}

  #file (path: string): string {
    return join(this.#root, path)
  }

  /**
   * Runs `operation`, making the directory first when that turns out to be what is missing. More than once, because
   * a delete may take the directory away between the two.
   */
  async #inDirectoryOf<T> (file: string, operation: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await operation()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt > 3) throw error
      }
      await this.#makeDirectory(dirname(file))
    }
  }

  async #makeDirectory (directory: string): Promise<void> {
    const first = await mkdir(directory, { recursive: true })
    if (first === undefined) return
    // Each new directory is an entry in its parent; `directory` itself is synced after the file is in it.
    for (let made = directory; made.length >= first.length; made = dirname(made)) await this.#syncDirectory(dirname(made))
  }

  async #syncDirectory (directory: string): Promise<void> {
    if (!this.#fsync) return
    let handle: FileHandle | undefined
    try {
      handle = await open(directory, 'r')
      await handle.sync()
    } catch (error) {
      // What was in it was moved on meanwhile, and the directory pruned: its new place is the mover's to make durable.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    } finally {
      await handle?.close()
    }
  }

  async #run<T> (path: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      throw filesystemError(path, error)
    }
  }
}

/** Like `mkdir -p`. Node's own goes round in circles where nothing can be made, for instance below /proc. */
async function makeDirectory (path: string): Promise<void> {
  const error = await mkdirError(path)
  if (error === undefined) return
  if (error.code !== 'ENOENT' || dirname(path) === path) throw error
  await makeDirectory(dirname(path))
  const again = await mkdirError(path)
  if (again !== undefined) throw again
}

/** Undefined if the directory is there now; somebody else may have been faster. */
async function mkdirError (path: string): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(path)
  } catch (error) {
    if (!await isDirectory(path)) return error as NodeJS.ErrnoException
  }
}

async function isDirectory (path: string): Promise<boolean> {
  return await stat(path).then(found => found.isDirectory(), () => false)
}
