import { orIfMissing } from '../errors/driver-error.js'
import { digestOf, isAlgorithm, isDigest, isTag } from '../reference/reference.js'
import type { Algorithm, Digest, RepositoryName, Tag } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { BLOBS, REPOSITORIES, linksPath, referrersPath, subjectsPath, tagHistoryPath, tagsPath, uploadsPath } from './layout.js'
import type { LinkSet } from './layout.js'

/*
 * Everything that lies in storage, one directory at a time: what is in memory is the names of the directories on the
 * way, never all of them. A directory that goes away while it is walked is empty. What each walk yields is what there
 * are names for; whether a link or content is behind it is for the caller to look at.
 */

export interface WalkOptions {
  /** A walk ends with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const PARTS: ReadonlySet<string> = new Set(['_layers', '_manifests', '_uploads'])
// Docker's registry also takes names such as `Foo/bar`, which are not served here; what lies in them is somebody's all
// the same. The bound also ends a walk that symbolic links lead in circles.
const COMPONENT = /^(?!\.+$)[A-Za-z0-9.-][A-Za-z0-9._-]*$/
const MAX_NAME_LENGTH = 255
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const SHARD = /^[0-9a-f]{2}$/

/** Every directory that holds links, manifests or uploads, also one that holds nothing else; `a`, then `a/b`. */
export async function * walkRepositories (driver: StorageDriver, { signal }: WalkOptions = {}): AsyncGenerator<RepositoryName> {
  yield * repositoriesBelow(driver, '', signal)
}

async function * repositoriesBelow (driver: StorageDriver, name: string, signal: AbortSignal | undefined): AsyncGenerator<RepositoryName> {
  signal?.throwIfAborted()
  const children = await orIfMissing(driver.list(name === '' ? REPOSITORIES : `${REPOSITORIES}/${name}`), [])
  if (name !== '' && children.some(child => PARTS.has(child))) yield name as RepositoryName
  for (const child of children) {
    const below = name === '' ? child : `${name}/${child}`
    if (COMPONENT.test(child) && below.length <= MAX_NAME_LENGTH) yield * repositoriesBelow(driver, below, signal)
  }
}

/**
 * The digests a repository has, or had, a link under; those of another algorithm than the canonical one are aliases.
 * `readLink` tells whether the link is there.
 */
export async function * walkLinks (driver: StorageDriver, name: RepositoryName, set: LinkSet, options: WalkOptions = {}): AsyncGenerator<Digest> {
  yield * digestsIn(driver, linksPath(name, set), options)
}

export async function * walkTags (driver: StorageDriver, name: RepositoryName, { signal }: WalkOptions = {}): AsyncGenerator<Tag> {
  for (const tag of await orIfMissing(driver.list(tagsPath(name)), [])) {
    signal?.throwIfAborted()
    if (isTag(tag)) yield tag
  }
}

/** Everything a tag ever pointed at. */
export async function * walkTagHistory (driver: StorageDriver, name: RepositoryName, tag: Tag, options: WalkOptions = {}): AsyncGenerator<Digest> {
  yield * digestsIn(driver, tagHistoryPath(name, tag), options)
}

export interface ReferrerEntry { readonly subject: Digest, readonly referrer: Digest }

export async function * walkReferrers (driver: StorageDriver, name: RepositoryName, options: WalkOptions = {}): AsyncGenerator<ReferrerEntry> {
  for await (const subject of digestsIn(driver, subjectsPath(name), options)) {
    for await (const referrer of digestsIn(driver, referrersPath(name, subject), options)) yield { subject, referrer }
  }
}

/** Ids of upload sessions; what is no UUID was not made by a registry. */
export async function * walkUploads (driver: StorageDriver, name: RepositoryName, { signal }: WalkOptions = {}): AsyncGenerator<string> {
  for (const id of await orIfMissing(driver.list(uploadsPath(name)), [])) {
    signal?.throwIfAborted()
    if (UUID.test(id)) yield id
  }
}

/** All digests of an algorithm that begin with the same two digits: the unit in which content is walked. */
export interface BlobShard { readonly algorithm: Algorithm, readonly prefix: string }

export async function blobShards (driver: StorageDriver): Promise<BlobShard[]> {
  const shards: BlobShard[] = []
  for (const algorithm of await orIfMissing(driver.list(BLOBS), [])) {
    if (!isAlgorithm(algorithm)) continue
    const prefixes = await orIfMissing(driver.list(`${BLOBS}/${algorithm}`), [])
    shards.push(...prefixes.filter(prefix => SHARD.test(prefix)).map(prefix => ({ algorithm, prefix })))
  }
  return shards
}

export async function blobsOf (driver: StorageDriver, { algorithm, prefix }: BlobShard): Promise<Digest[]> {
  const names = await orIfMissing(driver.list(`${BLOBS}/${algorithm}/${prefix}`), [])
  return names.map(hex => digestOf(algorithm, hex)).filter(isDigest)
}

/** All content, whoever links to it. */
export async function * walkBlobs (driver: StorageDriver, { signal }: WalkOptions = {}): AsyncGenerator<Digest> {
  for (const shard of await blobShards(driver)) {
    signal?.throwIfAborted()
    yield * await blobsOf(driver, shard)
  }
}

/** `<path>/<algorithm>/<hex>` */
async function * digestsIn (driver: StorageDriver, path: string, { signal }: WalkOptions): AsyncGenerator<Digest> {
  for (const algorithm of await orIfMissing(driver.list(path), [])) {
    if (!isAlgorithm(algorithm)) continue
    for (const hex of await orIfMissing(driver.list(`${path}/${algorithm}`), [])) {
      signal?.throwIfAborted()
      const digest = digestOf(algorithm, hex)
      if (isDigest(digest)) yield digest
    }
  }
}
