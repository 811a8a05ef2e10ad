import { close, fsync, open } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const openFile = promisify(open)
const closeFile = promisify(close)

/** Makes the content of an open file survive a crash. */
export const syncFile: (fd: number) => Promise<void> = promisify(fsync)

/**
 * Makes names survive a crash of the machine, by syncing the directories they are in, all at the same time. A name is
 * worth no more than those of the directories above it; so whoever relies on a directory that somebody else has just
 * made waits for that one too.
 */
export class DirectorySyncs {
  readonly #root: string
  readonly #running = new Map<string, Promise<void>>()

  constructor (root: string) {
    this.#root = root
  }

  /** Whether anybody is waiting for a name to be durable. */
  get isSettling (): boolean {
    return this.#running.size > 0
  }

  /** @param names files and directories that are new where they are */
  async settle (names: readonly string[]): Promise<void> {
    const syncs = new Map<string, Promise<void>>()
    for (const name of names) {
      const directory = dirname(name)
      const sync = syncs.get(directory) ?? syncDirectory(directory)
      syncs.set(directory, sync)
      this.#running.set(name, sync)
    }
    try {
      await Promise.all([...syncs.values(), ...this.#above(names[0] ?? this.#root)])
    } finally {
      for (const name of names) if (this.#running.get(name) === syncs.get(dirname(name))) this.#running.delete(name)
    }
  }

  /** Waits until what is being settled of this name, and of the directories above it, has been. */
  async settled (name: string): Promise<void> {
    if (this.#running.size > 0) await Promise.all([this.#running.get(name), ...this.#above(name)])
  }

  /** What others are waiting for in the directories above. */
  #above (name: string): Array<Promise<void>> {
    const found: Array<Promise<void>> = []
    for (let directory = dirname(name); directory.length > this.#root.length; directory = dirname(directory)) {
      const sync = this.#running.get(directory)
      if (sync !== undefined) found.push(sync)
    }
    return found
  }
}

async function syncDirectory (directory: string): Promise<void> {
  let fd: number | undefined
  try {
    fd = await openFile(directory, 'r')
    await syncFile(fd)
  } catch (error) {
    // What was in it was moved on meanwhile, and the directory pruned: its new place is the mover's to make durable.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    if (fd !== undefined) await closeFile(fd)
  }
}
