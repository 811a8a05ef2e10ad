import { orIfMissing } from '../errors/driver-error.js'
import { isRepositoryName } from '../reference/reference.js'
import type { RepositoryName } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { REPOSITORIES } from './layout.js'
import type { Page, PageRequest, Visibility } from './types.js'

const EVERYTHING: Visibility = { mayPull: () => true }

/**
 * Repositories are directories that contain `_manifests`. They are walked depth first, children in byte order, so the
 * order is by path component (`a/b` before `a-b`), as docker's registry lists them; whole branches before `last` are
 * never read, nor are those in which nothing is visible.
 */
export async function listRepositories (driver: StorageDriver, { limit = Infinity, last }: PageRequest, visible = EVERYTHING): Promise<Page<RepositoryName>> {
  const items: RepositoryName[] = []
  if (limit <= 0) return { items, more: false }
  const after = last === undefined ? [] : last.split('/')
  for await (const name of repositoriesBelow({ driver, visible }, [], after)) {
    if (items.length === limit) return { items, more: true }
    items.push(name)
  }
  return { items, more: false }
}

interface Walk { readonly driver: StorageDriver, readonly visible: Visibility }

/**
 * @param path components of the directory to walk
 * @param after what remains of `last` below this directory; empty when the whole of it comes after `last`
 */
async function * repositoriesBelow (walk: Walk, path: readonly string[], after: readonly string[]): AsyncGenerator<RepositoryName> {
  const { driver, visible } = walk
  const [bound, ...rest] = after
  for (const child of await orIfMissing(driver.list([REPOSITORIES, ...path].join('/')), [])) {
    // What is no name component is not ours: `_manifests` and its like, or what other programs leave in directories.
    if (!isRepositoryName(child) || (bound !== undefined && child < bound)) continue
    // What lies on the way to `last`, and `last` itself, comes before or is it; what lies below it comes after.
    const onBound = child === bound
    const components = [...path, child]
    const name = components.join('/')
    if (!onBound && isRepositoryName(name) && await visible.mayPull(name) && await isRepository(driver, name)) yield name
    if (visible.mayContain?.(name) ?? true) yield * repositoriesBelow(walk, components, onBound ? rest : [])
  }
}

async function isRepository (driver: StorageDriver, name: RepositoryName): Promise<boolean> {
  return await orIfMissing(driver.stat([REPOSITORIES, name, '_manifests'].join('/')).then(() => true), false)
}
