import { ftruncate } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import type { DirectorySyncs } from './directory-syncs.js'
import type { FileWriter } from './driver.js'
import { EarlySync, syncData } from './early-sync.js'
import type { SyncData } from './early-sync.js'
import { MAX_DIRECT_BYTES, POOLED } from './file-calls.js'
import type { FileCalls } from './file-calls.js'
import { filesystemError } from './filesystem-error.js'

interface FilesystemWriterParts {
  readonly path: string
  readonly file: string
  readonly size: number
  readonly calls: FileCalls
  /** Without it nothing is synced. */
  readonly syncs?: DirectorySyncs
  readonly sync?: SyncData
}

const truncateFile = promisify(ftruncate)

/**
 * Appends at a position of its own rather than at the end of the file: bytes that a failed write left behind the
 * position are overwritten, not counted.
 */
export class FilesystemWriter implements FileWriter {
  readonly #fd: number
  readonly #parts: FilesystemWriterParts
  readonly #early: EarlySync | undefined
  #size: number
  #open = true
  #dirty: boolean
  /** The write that is under way: its descriptor must not become another file's. */
  #writing: Promise<void> = Promise.resolve()

  constructor (fd: number, parts: FilesystemWriterParts) {
    this.#fd = fd
    this.#parts = parts
    this.#size = parts.size
    this.#early = parts.syncs && new EarlySync(fd, parts.size, parts.sync ?? syncData)
    // What an earlier writer left may have been cut off before it was synced: the process may have been killed.
    this.#dirty = parts.size > 0
  }

  get size (): number {
    return this.#size
  }

  async write (chunks: readonly Uint8Array[]): Promise<void> {
    this.#writing = this.#run(async () => {
      let rest = chunks
      let bytes = 0
      for (const chunk of chunks) bytes += chunk.byteLength
      const calls = bytes > MAX_DIRECT_BYTES ? POOLED : this.#parts.calls
      while (rest.length > 0) {
        this.#dirty = true
        const written = await calls.write(this.#descriptor, rest, this.#size)
        this.#size += written
        rest = after(rest, written)
        if (rest.length > 0 && written === 0) throw new Error('nothing could be written')
      }
    })
    await this.#writing
    if (this.#open) this.#early?.grown(this.#size)
  }

  async truncate (size: number): Promise<void> {
    await this.#run(async () => {
      this.#dirty = true
      await truncateFile(this.#descriptor, size)
      this.#size = size
    })
  }

  async close ({ moving = false }: { readonly moving?: boolean } = {}): Promise<void> {
    if (!this.#open) return
    this.#open = false
    const { calls, file, syncs, sync = syncData } = this.#parts
    await this.#writing.catch(() => {})
    await this.#run(async () => {
      try {
        await this.#early?.settled()
        if (!this.#dirty || syncs === undefined) return
        // The names too: whoever made them may have been another process.
        await Promise.all([sync(this.#fd), moving ? undefined : syncs.settle([file, dirname(file)])])
      } finally {
        await calls.close(this.#fd)
      }
    })
  }

  async cancel (): Promise<void> {
    const { calls, file } = this.#parts
    await this.#run(async () => {
      if (this.#open) {
        this.#open = false
        await this.#writing.catch(() => {})
        await this.#early?.settled().catch(() => {})
        await calls.close(this.#fd)
      }
      await calls.unlink(file)
    })
  }

  /** A closed descriptor may be another file's by now. */
  get #descriptor (): number {
    if (!this.#open) throw Object.assign(new Error('EBADF: the writer is closed'), { code: 'EBADF' })
    return this.#fd
  }

  async #run<T> (operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      throw filesystemError(this.#parts.path, error)
    }
  }
}

/** The chunks that remain when `count` bytes are gone: a vectored write may stop short, for example on a full disk. */
function after (chunks: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let index = 0
  let left = count
  for (; index < chunks.length; index++) {
    const length = (chunks[index] as Uint8Array).byteLength
    if (length > left) break
    left -= length
  }
  if (left === 0) return chunks.slice(index)
  return [(chunks[index] as Uint8Array).subarray(left), ...chunks.slice(index + 1)]
}
