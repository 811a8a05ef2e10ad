import { basename, dirname } from 'node:path'
import type { Eventually } from '../registry/types.js'
import { syncFile } from './directory-syncs.js'
import { POOLED } from './file-calls.js'
import type { FileCalls } from './file-calls.js'
import { MAX_ATTEMPTS, temporaryName } from './prompt-changes.js'

/** New names, each of which is worth no more than that of its directory. */
export type Names = readonly string[]

/**
 * The same changes as on one thread (`prompt-changes.ts`), each system call in the thread pool: where it may have to wait
 * for what is being synced, or for a network, nobody else does. Says which names are to be made durable.
 */
export class PooledChanges {
  readonly #looks: FileCalls

  /** @param looks calls that change nothing */
  constructor (looks: FileCalls) {
    this.#looks = looks
  }

  /** Resolves to the directories that were made, deepest first. @param sync whether the content is to be durable */
  async replace (target: string, content: Uint8Array, { spare, sync }: { readonly spare: string | undefined, readonly sync: boolean }): Promise<Names> {
    const temporary = temporaryName(target)
    const { result: fd, made } = await inDirectoryOf(target, async () => {
      return await this.#recycled(spare, temporary, content.byteLength) ?? await POOLED.open(temporary, 'wx')
    })
    try {
      await fill(fd, content, sync)
      await POOLED.rename(temporary, target)
    } catch (error) {
      await attempted(() => POOLED.unlink(temporary))
      throw error
    }
    return made
  }

  /** A new, empty file, open for writing, and the directories that were made. */
  async create (file: string): Promise<{ readonly fd: number, readonly made: Names }> {
    const { result: fd, made } = await inDirectoryOf(file, () => POOLED.open(file, 'w'))
    return { fd, made }
  }

  /** Resolves to the new names besides the file's own. */
  async move (source: string, target: string, last: boolean): Promise<Names> {
    await this.#looks.stat(source) // a missing source must not make the target's directories
    return (last ? await this.#moveDirectory(source, target) : undefined) ??
      (await inDirectoryOf(target, () => POOLED.rename(source, target))).made
  }

  /** A file that was there already, under its new name. Undefined when there is none, or it is longer than what is to be in it. */
  async #recycled (spare: string | undefined, temporary: string, length: number): Promise<number | undefined> {
    const found = spare === undefined ? undefined : await attempted(() => this.#looks.stat(spare))
    if (spare === undefined || found === undefined || !found.isFile() || found.size > length) return undefined
    try {
      await POOLED.rename(spare, temporary)
    } catch (error) {
      // What is missing is the new name's directory; or the file is gone since, and then it is not found again.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error
      return undefined
    }
    return await POOLED.open(temporary, 'r+')
  }

  /** Moves a file with its directory, if that holds nothing else and there is no such directory yet. */
  async #moveDirectory (source: string, target: string): Promise<Names | undefined> {
    const [from, to] = [dirname(source), dirname(target)]
    return await attempted(async () => {
      if (basename(source) !== basename(target) || (await this.#looks.readdir(from)).length !== 1) return undefined
      const { made } = await inDirectoryOf(to, () => POOLED.rename(from, to))
      return [to, ...made]
    })
  }
}

/** Writes a new file and closes it. */
async function fill (fd: number, content: Uint8Array, sync: boolean): Promise<void> {
  try {
    for (let position = 0; position < content.byteLength;) {
      const written = await POOLED.write(fd, [content.subarray(position)], position)
      if (written === 0) throw new Error('nothing could be written')
      position += written
    }
    if (sync) await syncFile(fd)
  } finally {
    await POOLED.close(fd)
  }
}

/**
 * Runs `operation`, making the directory first when that turns out to be what is missing. More than once, because
 * a delete may take the directory away between the two. `made` are the directories that were made, deepest first.
 */
async function inDirectoryOf<T> (file: string, operation: () => Eventually<T>): Promise<{ readonly result: T, readonly made: Names }> {
  const directory = dirname(file)
  let first: string | undefined
  for (let attempt = 1; ; attempt++) {
    try {
      return { result: await operation(), made: first === undefined ? [] : upTo(directory, first) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error
    }
    const made = await POOLED.mkdir(directory)
    if (first === undefined || (made !== undefined && made.length < first.length)) first = made
  }
}

/** `directory` and those above it, up to `first`. */
function upTo (directory: string, first: string): string[] {
  const directories: string[] = []
  for (let path = directory; path.length >= first.length; path = dirname(path)) directories.push(path)
  return directories
}

/** Why it failed is told by what comes next, or has been told. */
async function attempted<T> (operation: () => Eventually<T>): Promise<T | undefined> {
  try {
    return await operation()
  } catch {
    return undefined
  }
}
