import { orIfMissing } from '../errors/driver-error.js'
import { isRepositoryName } from '../reference/reference.js'
import type { RepositoryName } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { REPOSITORIES } from './layout.js'
import { firstFrom } from './page.js'
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
  const children = await childrenOf(driver, '')
  for await (const name of repositoriesBelow({ driver, visible }, { path: '', children, after })) {
    if (items.length === limit) return { items, more: true }
    items.push(name)
  }
  return { items, more: false }
}

interface Walk { readonly driver: StorageDriver, readonly visible: Visibility }

interface Directory {
  readonly path: string
  readonly children: readonly string[]
  /** What remains of `last` below this directory; empty when the whole of it comes after `last`. */
  readonly after: readonly string[]
}

async function * repositoriesBelow (walk: Walk, { path, children, after: [bound, ...rest] }: Directory): AsyncGenerator<RepositoryName> {
  const { driver, visible } = walk
  for (let i = bound === undefined ? 0 : firstFrom(children, bound); i < children.length; i++) {
    const child = children[i] as string
    // What is no name component is not ours: `_manifests` and its like, or what other programs leave in directories.
    if (!isRepositoryName(child)) continue
    // What lies on the way to `last`, and `last` itself, comes before or is it; what lies below it comes after.
    const onBound = child === bound
    const name = path === '' ? child : `${path}/${child}`
    const isCandidate = !onBound && isRepositoryName(name) && await visible.mayPull(name)
    const mayContain = visible.mayContain?.(name) ?? true
    if (!isCandidate && !mayContain) continue
    const below = await childrenOf(driver, name)
    if (isCandidate && below.includes('_manifests')) yield name
    if (mayContain) yield * repositoriesBelow(walk, { path: name, children: below, after: onBound ? rest : [] })
  }
}

async function childrenOf (driver: StorageDriver, name: string): Promise<readonly string[]> {
  return await orIfMissing(driver.list(name === '' ? REPOSITORIES : `${REPOSITORIES}/${name}`), [])
}
