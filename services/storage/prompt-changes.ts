import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, renameSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { basename, dirname } from 'node:path'

// Changes on this thread, one system call after the other with nothing to wait for in between: on names and small files
// that costs a fraction of handing each call to the thread pool. Nothing is synced.

// A temporary file lies beside its target, so that the rename stays in one file system. No name of the layout begins
// with a dot, so what a crash leaves behind is never listed.
const TEMPORARY_PREFIX = '.tmp-'

/** How often a directory is made again that somebody else takes away. */
export const MAX_ATTEMPTS = 4

/** A name for what is not yet what `target` is to be. */
export function temporaryName (target: string): string {
  return `${dirname(target)}/${TEMPORARY_PREFIX}${randomUUID()}`
}

/**
 * Creates or replaces a file, of which a reader sees the old or the new bytes.
 *
 * @param spare a file that is not needed any more: on some file systems to make and remove one costs far more than to
 * write over it and rename it
 * @param inPlace of a new file a reader may see a part
 */
export function replaceFile (target: string, content: Uint8Array, spare?: string, inPlace = false): void {
  inDirectory(dirname(target), () => {
    if (spare !== undefined && isRewritten(spare, content)) return renameSync(spare, target)
    const created = inPlace ? attempted(() => openSync(target, 'wx')) : undefined
    if (created !== undefined) return fill(created, content)
    const temporary = temporaryName(target)
    const fd = openSync(temporary, 'wx')
    try {
      fill(fd, content)
      renameSync(temporary, target)
    } catch (error) {
      attempted(() => { unlinkSync(temporary) })
      throw error
    }
  })
}

/** A new, empty file, open for writing. */
export function createFile (file: string): number {
  return attempted(() => openSync(file, 'w')) ?? inDirectory(dirname(file), () => openSync(file, 'w'))
}

/** @param last what the directory of `source` is left with is not needed: where that is nothing, it moves with the file */
export function moveFile (source: string, target: string, last: boolean): void {
  if (last && isMovedWhole(source, target)) return
  statSync(source) // a missing source must not make the target's directories
  inDirectory(dirname(target), () => { renameSync(source, target) })
}

function isMovedWhole (source: string, target: string): boolean {
  const [from, to] = [dirname(source), dirname(target)]
  const move = (): boolean => {
    renameSync(from, to)
    return true
  }
  // Where there is such a directory already, the rename fails.
  return attempted(() => {
    if (basename(source) !== basename(target) || readdirSync(from).length !== 1) return false
    return attempted(move) ?? inDirectory(dirname(to), move)
  }) === true
}

/** False when there is no such file, or it is longer than what is to be in it. */
function isRewritten (file: string, content: Uint8Array): boolean {
  const fd = attempted(() => openSync(file, 'r+'))
  if (fd === undefined) return false
  const found = attempted(() => fstatSync(fd))
  if (found?.isFile() === true && found.size <= content.byteLength) {
    fill(fd, content)
    return true
  }
  closeSync(fd)
  return false
}

/** Writes from the beginning, and closes. */
function fill (fd: number, content: Uint8Array): void {
  try {
    for (let position = 0; position < content.byteLength;) {
      const written = writeSync(fd, content, position, content.byteLength - position, position)
      if (written === 0) throw new Error('nothing could be written')
      position += written
    }
  } finally {
    closeSync(fd)
  }
}

/** Makes the directory first, for which it costs less than to find out that it is missing. More than once, because a delete may take it away. */
function inDirectory<T> (directory: string, operation: () => T): T {
  for (let attempt = 1; ; attempt++) {
    let unmade: unknown
    try {
      mkdirSync(directory, { recursive: true })
    } catch (error) {
      unmade = error
    }
    try {
      return operation()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      if (unmade !== undefined || attempt === MAX_ATTEMPTS) throw unmade ?? error
    }
  }
}

/** Why it failed is told by what comes next. */
function attempted<T> (operation: () => T): T | undefined {
  try {
    return operation()
  } catch {
    return undefined
  }
}
