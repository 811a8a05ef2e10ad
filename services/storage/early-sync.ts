import { fdatasync } from 'node:fs'
import { promisify } from 'node:util'

/** So much of a file is brought to the disk at a time. */
const BYTES = 8 * 1024 * 1024

/** Brings what was written to an open file to the disk. */
export type SyncData = (fd: number) => Promise<void>
export const syncData: SyncData = promisify(fdatasync)

/** Of all files one at a time: it keeps a thread waiting, of which there are few. */
let isBusy = false

/** Brings a long file to the disk while more of it arrives, so that there is little left to wait for at its end. */
export class EarlySync {
  readonly #fd: number
  readonly #syncData: SyncData
  #position: number
  #running: Promise<void> | undefined
  #failure: unknown

  constructor (fd: number, position: number, sync: SyncData) {
    this.#fd = fd
    this.#syncData = sync
    this.#position = position
  }

  /** The file has got that long. */
  grown (size: number): void {
    if (isBusy || size - this.#position < BYTES) return
    this.#position = size
    isBusy = true
    this.#running = this.#sync()
  }

  /** When this has resolved the descriptor is free. @throws what failed: the system tells it once, and not the last sync again */
  async settled (): Promise<void> {
    await this.#running
    if (this.#failure !== undefined) throw this.#failure
  }

  async #sync (): Promise<void> {
    try {
      await this.#syncData(this.#fd)
    } catch (error) {
      this.#failure ??= error
    } finally {
      isBusy = false
    }
  }
}
