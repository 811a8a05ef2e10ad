import { orIfMissing } from '../errors/driver-error.js'
import type { Digest } from '../reference/reference.js'
import { concurrently } from '../registry/concurrently.js'
import { blobDirectory, blobPath } from '../registry/layout.js'
import { blobShards, blobsOf } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import type { ManifestReader } from './manifest-reader.js'
import type { Mark } from './mark.js'
import type { Quarantine } from './quarantine.js'
import type { CollectionObserver, Counts } from './report.js'
import type { RepositoryView } from './repository-view.js'
import type { WithdrawnManifests } from './withdrawn-manifests.js'

export interface SweepParts {
  readonly driver: StorageDriver
  readonly run: string
  /** Content that is younger stays, whether it is marked or not: its push may not be over. Milliseconds since the epoch. */
  readonly before: number
  readonly dryRun: boolean
  readonly width: number
  readonly rest?: () => Promise<void>
  readonly forget: (digest: Digest) => Promise<void>
  readonly quarantine: Quarantine
  readonly withdrawn: WithdrawnManifests
  readonly reader: ManifestReader
  readonly mark: Mark
  readonly counts: Counts
  readonly observer?: CollectionObserver
  readonly signal?: AbortSignal
}

/** Puts aside what is not needed. Removes nothing. */
export class Sweep {
  readonly #parts: SweepParts

  constructor (parts: SweepParts) {
    this.#parts = parts
  }

  /** Withdraws manifests from their repository. */
  async manifests (view: RepositoryView, dead: readonly Digest[]): Promise<void> {
    const { run, dryRun, width, reader, withdrawn, counts, observer, signal } = this.#parts
    if (dead.length === 0) return
    const described = await concurrently(dead, async digest => {
      const subject = (await reader.references(digest))?.subject
      return { digest, sha512: await reader.sha512(digest), subject }
    }, width)
    const files = await view.filesOf(described)
    await concurrently(dead, async digest => {
      signal?.throwIfAborted()
      if (!dryRun) await withdrawn.withdraw(run, { repository: view.name, digest, files: files.get(digest) ?? {} })
      counts.manifests.withdrawn++
      observer?.manifest?.(view.name, digest)
      observer?.gone?.(digest, `${view.name}: manifest, without a tag, in no index, of no subject that stays`)
    }, width)
  }

  /** Puts all content aside that is not marked. */
  async content (): Promise<void> {
    const { driver, signal, width, observer } = this.#parts
    const shards = await blobShards(driver)
    for (const [done, shard] of shards.entries()) {
      signal?.throwIfAborted()
      const digests = await blobsOf(driver, shard)
      await concurrently(digests, async digest => { await this.#blob(digest) }, width)
      observer?.shard?.(done + 1, shards.length)
    }
  }

  async #blob (digest: Digest): Promise<void> {
    const { driver, mark, before, dryRun, run, quarantine, forget, counts, observer, signal, rest } = this.#parts
    signal?.throwIfAborted()
    await rest?.()
    const found = await orIfMissing(driver.stat(blobPath(digest)), undefined)
    if (found === undefined) {
      if (!dryRun) await quarantine.prune(blobDirectory(digest))
      return
    }
    if (mark.has(digest) || found.modified.getTime() > before) {
      if (!mark.has(digest)) observer?.kept?.(digest, () => 'no manifest refers to it, but it came within the grace period')
      counts.blobs.kept++
      counts.bytes.kept += found.size
      return
    }
    if (!dryRun) {
      if (!await quarantine.put(run, digest)) return
      // Only after it was moved: what asks for it from now on finds it missing, and puts it back.
      await forget(digest)
    }
    counts.blobs.quarantined++
    counts.bytes.quarantined += found.size
    observer?.blob?.(digest, found.size)
    observer?.gone?.(digest, 'no manifest refers to it')
  }
}
