import { orIfMissing } from '../errors/driver-error.js'
import type { Progress } from '../maintenance/progress.js'
import { CANONICAL, digestOf, isCanonical, isDigest, isTag } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import { concurrently } from '../registry/concurrently.js'
import { blobPath, linkPath, linksPath, tagsPath, uploadDataPath } from '../registry/layout.js'
import type { LinkSet } from '../registry/layout.js'
import { readLink } from '../registry/linked-blob-store.js'
import { blobShards, blobsOf, walkRepositories, walkUploads } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import { DigestFilter } from '../verify/digest-filter.js'
import { Largest } from './largest.js'

/** How many there are of something, and their bytes together. */
export interface Amount { count: number, bytes: number }

export interface RepositoryStatistics {
  readonly name: RepositoryName
  readonly tags: number
  readonly manifests: number
  /** Config and layers. */
  readonly blobs: number
  /** Of all its manifests and blobs, each once. */
  readonly bytes: number
  /** Of those that no other repository links to: what the storage would be rid of without it. */
  readonly unique: number
}

/** What is stored. Sizes in bytes. */
export interface Statistics {
  readonly repositories: number
  readonly tags: number
  /** Of each repository, summed: one that is in two counts twice. */
  readonly manifests: number
  /** What each repository links to, summed: what they would take without sharing. */
  readonly linked: Amount
  /** All content, manifests too, each once: what they do take. */
  readonly stored: Amount
  /** Stored content that one repository links to. */
  readonly unique: Amount
  /** Stored content that several repositories link to. */
  readonly shared: Amount
  /** Stored content that no repository links to: garbage, or just being pushed. */
  readonly unlinked: Amount
  /** Sessions that are not closed. */
  readonly uploads: Amount
  /** Repositories with most bytes, the largest first. */
  readonly largest: readonly RepositoryStatistics[]
  readonly seconds: number
}

export interface StatisticsParts {
  readonly driver: StorageDriver
  readonly progress: Progress
  /** How many of the largest repositories are named. */
  readonly top: number
  /** Ends it with the signal's reason. */
  readonly signal: AbortSignal
}

const none = (): Amount => ({ count: 0, bytes: 0 })

/**
 * Counts what is in storage, from the links and the content themselves. It only looks: also content that a garbage
 * collection has put aside stays there, and is not counted. Which digests were seen is kept in two filters, so that at
 * most 64 MiB of memory and the names in the largest directory are needed; the price is that of ten million digests
 * about one in two hundred thousand counts as shared that is not.
 */
export class StorageCount {
  readonly #parts: StatisticsParts
  readonly #seen = new DigestFilter()
  readonly #shared = new DigestFilter()
  readonly #largest: Largest<Omit<RepositoryStatistics, 'unique'>>
  readonly #linked = none()
  readonly #uploads = none()
  #repositories = 0
  #tags = 0
  #manifests = 0

  constructor (parts: StatisticsParts) {
    this.#parts = parts
    this.#largest = new Largest(parts.top, ({ bytes }) => bytes)
  }

  async run (): Promise<Statistics> {
    const { driver, progress, signal } = this.#parts
    const started = performance.now()
    try {
      progress.begin('repositories')
      for await (const name of walkRepositories(driver, { signal })) {
        await this.#countRepository(name)
        progress.advance(1, name)
      }
      const contents = await this.#countContents()
      progress.begin('largest repositories', this.#largest.items.length)
      const largest: RepositoryStatistics[] = []
      for (const one of this.#largest.items) {
        largest.push({ ...one, unique: await this.#uniqueBytes(one.name) })
        progress.advance(1, one.name)
      }
      return {
        repositories: this.#repositories,
        tags: this.#tags,
        manifests: this.#manifests,
        linked: this.#linked,
        ...contents,
        uploads: this.#uploads,
        largest,
        seconds: (performance.now() - started) / 1000
      }
    } finally {
      progress.end()
    }
  }

  async #countRepository (name: RepositoryName): Promise<void> {
    const { driver, signal } = this.#parts
    signal.throwIfAborted()
    const tags = (await orIfMissing(driver.list(tagsPath(name)), [])).filter(isTag).length
    const sums = { '_manifests/revisions': none(), _layers: none() }
    await this.#eachLink(name, async (digest, set) => {
      if (this.#seen.mayHave(digest)) this.#shared.add(digest)
      else this.#seen.add(digest)
      add(sums[set], await this.#sizeOf(blobPath(digest)))
    })
    for await (const id of walkUploads(driver, name, { signal })) {
      this.#uploads.count++
      this.#uploads.bytes += await this.#sizeOf(uploadDataPath(name, id)) ?? 0
    }
    const { '_manifests/revisions': manifests, _layers: blobs } = sums
    const bytes = manifests.bytes + blobs.bytes
    this.#repositories++
    this.#tags += tags
    this.#manifests += manifests.count
    this.#linked.count += manifests.count + blobs.count
    this.#linked.bytes += bytes
    this.#largest.offer({ name, tags, manifests: manifests.count, blobs: blobs.count, bytes })
  }

  async #uniqueBytes (name: RepositoryName): Promise<number> {
    const sum = none()
    await this.#eachLink(name, async digest => {
      if (!this.#shared.mayHave(digest)) add(sum, await this.#sizeOf(blobPath(digest)))
    })
    return sum.bytes
  }

  /** Every canonical link of a repository; of content that is linked both as manifest and as blob the first alone. */
  async #eachLink (name: RepositoryName, visit: (digest: Digest, set: LinkSet) => Promise<void>): Promise<void> {
    const { driver, signal } = this.#parts
    const manifests = await this.#digestsIn(name, '_manifests/revisions')
    const isManifest = new Set(manifests)
    const look = async (digests: readonly Digest[], set: LinkSet): Promise<void> => {
      await concurrently(digests, async digest => {
        signal.throwIfAborted()
        // Docker's registry leaves the directories of links that it removes.
        if (await readLink(driver, linkPath(name, set, digest)) === digest) await visit(digest, set)
        else if (set === '_manifests/revisions') isManifest.delete(digest)
      })
    }
    await look(manifests, '_manifests/revisions')
    const blobs = await this.#digestsIn(name, '_layers')
    await look(blobs.filter(digest => !isManifest.has(digest)), '_layers')
  }

  async #digestsIn (name: RepositoryName, set: LinkSet): Promise<Digest[]> {
    const names = await orIfMissing(this.#parts.driver.list(`${linksPath(name, set)}/${CANONICAL}`), [])
    return names.map(hex => digestOf(CANONICAL, hex)).filter(isDigest)
  }

  async #countContents (): Promise<Pick<Statistics, 'stored' | 'unique' | 'shared' | 'unlinked'>> {
    const { driver, progress, signal } = this.#parts
    const sums = { stored: none(), unique: none(), shared: none(), unlinked: none() }
    const shards = await blobShards(driver)
    progress.begin('content', shards.length)
    for (const shard of shards) {
      await concurrently(await blobsOf(driver, shard), async digest => {
        signal.throwIfAborted()
        const size = await this.#sizeOf(blobPath(digest))
        add(sums.stored, size)
        add(sums[this.#useOf(digest)], size)
      })
      progress.advance()
    }
    return sums
  }

  #useOf (digest: Digest): 'unique' | 'shared' | 'unlinked' {
    if (!isCanonical(digest) || !this.#seen.mayHave(digest)) return 'unlinked'
    return this.#shared.mayHave(digest) ? 'shared' : 'unique'
  }

  /** Undefined when no file is there. */
  async #sizeOf (path: string): Promise<number | undefined> {
    const found = await orIfMissing(this.#parts.driver.stat(path), undefined)
    return found === undefined || found.isDirectory ? undefined : found.size
  }
}

function add (amount: Amount, size: number | undefined): void {
  if (size === undefined) return
  amount.count++
  amount.bytes += size
}
