import { orIfMissing } from '../../services/errors/driver-error.js'
import type { Digest, Tag } from '../../services/reference/reference.js'
import { referencesOf } from '../../services/garbage/references.js'
import { blobPath, linkPath, tagCurrentPath } from '../../services/registry/layout.js'
import { readLink } from '../../services/registry/linked-blob-store.js'
import { walkRepositories, walkTags } from '../../services/registry/walk.js'
import type { StorageDriver } from '../../services/storage/driver.js'
import { sha256 } from './images.js'

/** Every file below a path, with the digest of what it holds; without uploads, and without directories. */
export async function storedTree (driver: StorageDriver, path = '/docker'): Promise<Record<string, Digest>> {
  const tree: Record<string, Digest> = {}
  for (const name of await orIfMissing(driver.list(path), [])) {
    if (name === '_uploads') continue
    const child = `${path}/${name}`
    if ((await driver.stat(child)).isDirectory) Object.assign(tree, await storedTree(driver, child))
    else tree[child] = sha256(await driver.read(child))
  }
  return tree
}

/** What tags show and is not there, or not what it should be. */
export async function lackingBehindTags (driver: StorageDriver): Promise<string[]> {
  const lacking: string[] = []
  for await (const name of walkRepositories(driver)) {
    const look = async (tag: Tag, digest: Digest, set: '_layers' | '_manifests/revisions'): Promise<void> => {
      const canonical = await readLink(driver, linkPath(name, set, digest))
      const bytes = canonical === undefined ? undefined : await orIfMissing(driver.read(blobPath(canonical)), undefined)
      if (bytes === undefined || sha256(bytes) !== canonical) {
        lacking.push(`${name}:${tag}: ${digest}`)
      } else if (set === '_manifests/revisions') {
        const { blobs, children } = referencesOf(bytes)
        for (const blob of blobs) await look(tag, blob, '_layers')
        for (const child of children) await look(tag, child, '_manifests/revisions')
      }
    }
    for await (const tag of walkTags(driver, name)) {
      const digest = await readLink(driver, tagCurrentPath(name, tag))
      if (digest !== undefined) await look(tag, digest, '_manifests/revisions')
    }
  }
  return lacking
}
