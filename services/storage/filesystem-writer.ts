import { rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { FileWriter } from './driver.js'
import { filesystemError } from './filesystem-error.js'

interface FilesystemWriterState { path: string, file: string, size: number, fsync: boolean }

/**
 * Appends at a position of its own rather than at the end of the file: bytes that a failed write left behind the
 * position are overwritten, not counted.
 */
export class FilesystemWriter implements FileWriter {
  readonly #handle: FileHandle
  readonly #state: FilesystemWriterState
  #open = true
  #dirty: boolean

  constructor (handle: FileHandle, state: FilesystemWriterState) {
    this.#handle = handle
    this.#state = state
    // What an earlier writer left may have been cut off before it was synced: the process may have been killed.
    this.#dirty = state.size > 0
  }

  get size (): number {
    return this.#state.size
  }

  async write (chunks: readonly Uint8Array[]): Promise<void> {
    await this.#run(async () => {
      let rest = chunks
      while (rest.length > 0) {
        this.#dirty = true
        const { bytesWritten } = await this.#handle.writev(rest, this.#state.size)
        this.#state.size += bytesWritten
        rest = after(rest, bytesWritten)
        if (rest.length > 0 && bytesWritten === 0) throw new Error('nothing could be written')
      }
    })
  }

  async truncate (size: number): Promise<void> {
    await this.#run(async () => {
      this.#dirty = true
      await this.#handle.truncate(size)
      this.#state.size = size
    })
  }

  async close (): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#run(async () => {
      try {
        if (this.#dirty && this.#state.fsync) await this.#handle.datasync()
      } finally {
        await this.#handle.close()
      }
    })
  }

  async cancel (): Promise<void> {
    await this.#run(async () => {
      if (this.#open) {
        this.#open = false
        await this.#handle.close()
      }
      await rm(this.#state.file)
    })
  }

  async #run<T> (operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      throw filesystemError(this.#state.path, error)
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
