import { orIfMissing } from '../errors/driver-error.js'
import { isRepositoryName } from '../reference/reference.js'
import type { RepositoryName } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { REPOSITORIES } from './layout.js'
import type { Page, PageRequest } from './types.js'

/**
 * Repositories are directories that contain `_manifests`. They are walked depth first, children in byte order, so the
 * order is by path component (`a/b` before `a-b`), as docker's registry lists them; whole branches before `last` are
 * never read.
 */
export async function listRepositories (driver: StorageDriver, { limit = Infinity, last }: PageRequest): Promise<Page<RepositoryName>> {
  const items: RepositoryName[] = []
  if (limit <= 0) return { items, more: false }
  const after = last === undefined ? [] : last.split('/')
  for await (const name of repositoriesBelow(driver, [], after)) {
    if (items.length === limit) return { items, more: true }
    items.push(name)
  }
  return { items, more: false }
}

/**
 * @param path components of the directory to walk
 * @param after what remains of `last` below this directory; empty when the whole of it comes after `last`
 */
async function * repositoriesBelow (driver: StorageDriver, path: readonly string[], after: readonly string[]): AsyncGenerator<RepositoryName> {
  const [bound, ...rest] = after
  for (const child of await orIfMissing(driver.list([REPOSITORIES, ...path].join('/')), [])) {
    // What is no name component is not ours: `_manifests` and its like, or what other programs leave in directories.
    if (!isRepositoryName(child) || (bound !== undefined && child < bound)) continue
    // What lies on the way to `last`, and `last` itself, comes before or is it; what lies below it comes after.
    const onBound = child === bound
    const components = [...path, child]
    if (!onBound && await isRepository(driver, components)) yield components.join('/') as RepositoryName
    yield * repositoriesBelow(driver, components, onBound ? rest : [])
  }
}

async function isRepository (driver: StorageDriver, components: readonly string[]): Promise<boolean> {
  if (!isRepositoryName(components.join('/'))) return false
  return await orIfMissing(driver.stat([REPOSITORIES, ...components, '_manifests'].join('/')).then(() => true), false)
}
