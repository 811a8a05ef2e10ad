import type { Stats } from 'node:fs'
import { LRUCache } from 'lru-cache'

const MAX_BYTES = 32 * 1024 * 1024
/** What a name and an entry take besides the characters. */
const NAME_BYTES = 32
const ENTRY_BYTES = 512

/**
 * The times of a file system move in ticks of at most 10 ms. A change in the tick in which a directory was read could
 * leave its times as they are, so what is read so soon after the last change is not kept.
 */
const TICK_MS = 20

type DirectoryStatus = Pick<Stats, 'ino' | 'mtimeMs' | 'ctimeMs'>

interface Listing extends DirectoryStatus { readonly names: readonly string[] }

/**
 * The names in directories, sorted, as long as the directory's times are what they were: whoever adds or removes a name,
 * in this process or in any other program, changes them. The same names are the same array.
 */
export class Listings {
  readonly #recent = new LRUCache<string, Listing>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ names }) => names.reduce((bytes, name) => bytes + name.length + NAME_BYTES, ENTRY_BYTES)
  })

  /** @param status what the directory is now */
  get (directory: string, { ino, mtimeMs, ctimeMs }: DirectoryStatus): readonly string[] | undefined {
    const found = this.#recent.get(directory)
    if (found === undefined) return undefined
    return found.mtimeMs === mtimeMs && found.ctimeMs === ctimeMs && found.ino === ino ? found.names : undefined
  }

  /**
   * @param status what the directory was before it was read
   * @param at when that was
   */
  keep (directory: string, { ino, mtimeMs, ctimeMs }: DirectoryStatus, at: number, names: readonly string[]): void {
    if (at - Math.max(mtimeMs, ctimeMs) > TICK_MS) this.#recent.set(directory, { ino, mtimeMs, ctimeMs, names })
    else this.#recent.delete(directory)
  }
}
