import { orIfMissing } from '../errors/driver-error.js'
import { isAlgorithm } from '../reference/reference.js'
import type { RepositoryName } from '../reference/reference.js'
import { linksPath, manifestsPath, subjectsPath, tagsPath } from '../registry/layout.js'
import type { StorageDriver } from '../storage/driver.js'

/**
 * Removes the empty directories of a repository that has no manifest left, so that it leaves the catalog as it does on
 * storage that knows no directories. Only directories in which nothing is; a push that comes meanwhile makes them again.
 */
export async function tidyRepository (driver: StorageDriver, name: RepositoryName): Promise<void> {
  if (driver.prune === undefined) return
  const prune = async (path: string): Promise<void> => { await driver.prune?.(path) }
  const revisions = linksPath(name, '_manifests/revisions')
  for (const parent of [revisions, subjectsPath(name)]) {
    for (const algorithm of (await orIfMissing(driver.list(parent), [])).filter(isAlgorithm)) {
      for (const hex of await orIfMissing(driver.list(`${parent}/${algorithm}`), [])) await prune(`${parent}/${algorithm}/${hex}`)
      await prune(`${parent}/${algorithm}`)
    }
    await prune(parent)
  }
  await prune(tagsPath(name))
  await prune(manifestsPath(name))
}
