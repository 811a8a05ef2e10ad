import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Like `mkdir -p`. Node's own goes round in circles where nothing can be made, for instance below /proc. */
export async function makeDirectory (path: string): Promise<void> {
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
