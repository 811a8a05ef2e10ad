import type { Clock } from '../maintenance/clock.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import { blobPath } from '../registry/layout.js'
import type { StorageDriver } from '../storage/driver.js'
import { orIfMissing } from '../errors/driver-error.js'
import { DigestSet } from './digest-set.js'
import type { Mark } from './mark.js'
import type { Quarantine } from './quarantine.js'
import type { Counts } from './report.js'
import type { Withdrawn, WithdrawnManifests } from './withdrawn-manifests.js'

export interface SettlementParts {
  readonly driver: StorageDriver
  /** The run that settles. */
  readonly run: string
  readonly graceMs: number
  readonly clock: Pick<Clock, 'now'>
  readonly quarantine: Quarantine
  readonly withdrawn: WithdrawnManifests
  readonly mark: Mark
  readonly counts: Counts
  readonly signal?: AbortSignal
}

interface Aside {
  readonly run: string
  /** Whether it has been aside for long enough. */
  readonly isDue: boolean
  readonly blobs: DigestSet
}

interface WithdrawnIn { readonly run: string, readonly isDue: boolean, readonly record: Withdrawn }

/**
 * What becomes of everything that is aside: back if it is needed, gone if it has been aside for the grace period. Only
 * of what was aside already when the second look at the repositories began; a collector that was thought dead and is
 * not may still put something aside meanwhile, of which the second look says nothing.
 */
export class Settlement {
  readonly #parts: SettlementParts
  readonly #runs: Aside[] = []
  readonly #manifests = new Map<RepositoryName, WithdrawnIn[]>()

  /** Looks at what is aside now. */
  static async begin (parts: SettlementParts): Promise<Settlement> {
    const settlement = new Settlement(parts)
    for (const run of await parts.quarantine.runs()) await settlement.#look(run)
    return settlement
  }

  private constructor (parts: SettlementParts) {
    this.#parts = parts
  }

  withdrawnFrom (name: RepositoryName): Set<Digest> {
    return new Set(this.#manifests.get(name)?.map(({ record }) => record.digest))
  }

  /** True when some of them stay aside. */
  async manifests (name: RepositoryName, isNeeded: (digest: Digest) => boolean): Promise<boolean> {
    const { withdrawn, counts, signal } = this.#parts
    let isWaiting = false
    for (const { run, isDue, record } of this.#manifests.get(name) ?? []) {
      signal?.throwIfAborted()
      if (isNeeded(record.digest)) {
        if (await withdrawn.putBack(run, record)) counts.manifests.restored++
      } else if (isDue) {
        await withdrawn.remove(run, record)
        counts.manifests.deleted++
      } else {
        isWaiting = true
      }
    }
    this.#manifests.delete(name)
    return isWaiting
  }

  /** To be called when all repositories were looked at. */
  async content (): Promise<void> {
    const { quarantine } = this.#parts
    // Repositories of which nothing is left.
    for (const name of [...this.#manifests.keys()]) await this.manifests(name, () => false)
    for (const aside of this.#runs) {
      let isEmpty = true
      for await (const digest of quarantine.blobs(aside.run)) {
        if (!aside.blobs.has(digest) || !await this.#blob(aside, digest)) isEmpty = false
      }
      if (isEmpty && aside.isDue) await quarantine.removeRun(aside.run)
    }
  }

  /** False when it stays aside. */
  async #blob ({ run, isDue }: Aside, digest: Digest): Promise<boolean> {
    const { driver, mark, quarantine, counts, signal } = this.#parts
    signal?.throwIfAborted()
    if (mark.has(digest)) {
      const isInPlace = await orIfMissing(driver.stat(blobPath(digest)).then(() => true), false)
      if (!isInPlace && await quarantine.restore(digest)) counts.blobs.restored++
      // A copy beside what is in place. Where a move is a copy and a delete, the delete may still be to come.
      if (isInPlace && isDue) await quarantine.remove(run, digest)
      return !isInPlace || isDue
    }
    if (!isDue) return false
    const found = await quarantine.stat(run, digest)
    if (found !== undefined && await quarantine.remove(run, digest)) {
      counts.blobs.deleted++
      counts.bytes.deleted += found.size
    }
    return true
  }

  async #look (run: string): Promise<void> {
    const { quarantine, withdrawn, clock, graceMs } = this.#parts
    const closedAt = await quarantine.closedAt(run)
    const now = clock.now()
    // One that was interrupted begins to wait now.
    if (closedAt === undefined) await quarantine.close(run, now)
    const isDue = closedAt !== undefined && closedAt <= now - graceMs
    const blobs = new DigestSet()
    for await (const digest of quarantine.blobs(run)) blobs.add(digest)
    this.#runs.push({ run, isDue, blobs })
    for await (const record of withdrawn.records(run)) {
      this.#manifests.set(record.repository, [...this.#manifests.get(record.repository) ?? [], { run, isDue, record }])
    }
  }
}
