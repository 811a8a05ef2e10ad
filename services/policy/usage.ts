import { Descriptors } from '../cache/descriptors.js'
import { orIfMissing } from '../errors/driver-error.js'
import { CANONICAL, digestOf, isDigest } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import { GlobalBlobStore } from '../registry/blob-store.js'
import { concurrently } from '../registry/concurrently.js'
import { repositoryPath } from '../registry/layout.js'
import { LinkedBlobStore } from '../registry/linked-blob-store.js'
import type { StorageDriver } from '../storage/driver.js'

const LINK_SETS = ['_layers', '_manifests/revisions'] as const

/** Size of every blob and manifest that a repository links to, by its canonical digest. */
export type Usage = Map<Digest, number>

/** Counts from the links in storage, which are the truth. Content under two digests is counted once. */
export async function countUsage (driver: StorageDriver, name: RepositoryName): Promise<Usage> {
  const content = new GlobalBlobStore(driver)
  const descriptors = new Descriptors()
  const usage: Usage = new Map()
  for (const set of LINK_SETS) {
    const links = new LinkedBlobStore({ driver, name, set, content, descriptors, describe: async digest => await content.verify(digest) })
    const hexes = await orIfMissing(driver.list(`${repositoryPath(name)}/${set}/${CANONICAL}`), [])
    const digests = hexes.map(hex => digestOf(CANONICAL, hex)).filter(isDigest)
    const found = await concurrently(digests, async digest => await links.verify(digest))
    for (const descriptor of found) if (descriptor !== undefined) usage.set(descriptor.digest, descriptor.size)
  }
  return usage
}
