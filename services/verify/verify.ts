import type { Clock } from '../maintenance/clock.js'
import { systemClock } from '../maintenance/clock.js'
import type { Log } from '../maintenance/log.js'
import { silent } from '../maintenance/progress.js'
import type { Progress } from '../maintenance/progress.js'
import { formatBytes } from '../config/bytes.js'
import { orIfMissing } from '../errors/driver-error.js'
import type { Digest } from '../reference/reference.js'
import { blobPath } from '../registry/layout.js'
import type { ReferenceValidation } from '../registry/reference-check.js'
import { blobShards, blobsOf, walkRepositories } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import { Contents } from './contents.js'
import { DigestFilter } from './digest-filter.js'
import type { Finding, Problem, Severity } from './finding.js'
import { Judge } from './judge.js'
import { Pace } from './pace.js'
import { SetAside, VerifyQuarantine } from './quarantine.js'
import { RepositoryCheck } from './repository-check.js'
import { RepositoryView } from './repository-view.js'

/** What was written within this time is not judged: longer than any request takes between the first step and the last. */
export const GRACE_MS = 10 * 60_000

export interface VerifyOptions {
  readonly driver: StorageDriver
  /** Moves aside what is corrupt or dangling, and writes again what can be. */
  readonly repair: boolean
  readonly validation: ReferenceValidation
  /** Bytes a second; as fast as it goes if not given. */
  readonly rate?: number
  readonly graceMs?: number
  /** Told of everything that is not as it should be. */
  readonly onFinding: (finding: Finding) => void
  /** Makes every cache forget what it knows of content, or of a link to it, that was set aside. */
  readonly forget?: (digest: Digest) => Promise<void>
  readonly progress?: Progress
  /** The part of the content after which to begin: an earlier run was interrupted after that. */
  readonly after?: string | undefined
  /** Told of every part of the content that was checked. */
  readonly onShard?: (shard: string) => Promise<void>
  readonly log: Log
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock
}

export interface VerifyResult extends Readonly<Record<Severity, number>> {
  readonly repair: boolean
  readonly repositories: number
  readonly manifests: number
  readonly tags: number
  readonly blobs: number
  /** Read and hashed. */
  readonly bytes: number
  readonly repaired: number
  /** Written too short a time ago to be judged. */
  readonly young: number
  /** Things that could not be looked at or repaired. */
  readonly errors: number
  /** Where what was set aside lies; null when nothing was. */
  readonly quarantine: string | null
}

/**
 * Reads everything that is stored and compares it with what it should be: first all content, then every link, tag and
 * manifest, then what nothing links to. Memory does not grow with the storage. May run beside a server.
 */
export async function verify (options: VerifyOptions): Promise<VerifyResult> {
  return await new Verification(options).run()
}

class Verification {
  readonly #options: VerifyOptions
  readonly #progress: Progress
  readonly #before: Date
  readonly #pace: Pace
  readonly #setAside: SetAside
  readonly #contents: Contents
  readonly #quarantine: VerifyQuarantine | undefined
  readonly #judge: Judge
  readonly #linked = new DigestFilter()
  #isAside = false
  readonly #result = { repositories: 0, manifests: 0, tags: 0, blobs: 0, bytes: 0, corrupt: 0, missing: 0, orphaned: 0, odd: 0, repaired: 0, young: 0, errors: 0 }

  constructor (options: VerifyOptions) {
    const { driver, repair, rate = Infinity, graceMs = GRACE_MS, log, progress = silent, forget, signal, clock = systemClock } = options
    this.#options = options
    this.#progress = progress
    this.#before = new Date(clock.now() - graceMs)
    this.#pace = new Pace(rate, { clock, signal })
    this.#setAside = new SetAside(driver)
    this.#contents = new Contents({ driver, setAside: this.#setAside, pace: this.#pace, before: this.#before, onRead: bytes => { this.#result.bytes += bytes }, signal })
    this.#quarantine = repair ? new VerifyQuarantine(driver, clock.now()) : undefined
    this.#judge = new Judge({
      driver,
      quarantine: this.#quarantine,
      before: this.#before,
      onFinding: finding => { this.#report(finding) },
      forget,
      onYoung: () => { this.#result.young++ },
      onFailure: () => { this.#result.errors++ },
      log,
      clock,
      signal
    })
  }

  async run (): Promise<VerifyResult> {
    try {
      await this.#checkContents()
      await this.#checkRepositories()
      await this.#findOrphans()
    } finally {
      this.#progress.end()
    }
    return { repair: this.#options.repair, ...this.#result, quarantine: this.#isAside ? this.#quarantine?.path ?? null : null }
  }

  async #checkContents (): Promise<void> {
    const { after = '', onShard } = this.#options
    await this.#eachBlob('content', async digest => {
      this.#result.blobs++
      await this.#judge.consider({ digest, path: blobPath(digest) }, async () => await this.#contents.check(digest))
    }, { after, onShard })
    await this.#judge.settle()
  }

  async #checkRepositories (): Promise<void> {
    const { driver, validation, repair, signal } = this.#options
    this.#progress.begin('repositories')
    for await (const name of walkRepositories(driver, { signal })) {
      this.#result.repositories++
      const parts = { driver, contents: this.#contents, pace: this.#pace, signal }
      const view = new RepositoryView(name, { ...parts, setAside: this.#setAside, validation })
      const onManifest = (): void => { this.#result.manifests++ }
      const onTag = (): void => { this.#result.tags++ }
      await new RepositoryCheck({ ...parts, judge: this.#judge, view, linked: this.#linked, repair, onManifest, onTag }).run()
      this.#progress.advance(1, name)
    }
    await this.#judge.settle()
  }

  /** Content that no repository links to. One that was linked since its repository was looked at is young, or will be found to be needed by the next run. */
  async #findOrphans (): Promise<void> {
    await this.#eachBlob('leftovers', async digest => {
      if (this.#linked.mayHave(digest)) return
      await this.#judge.consider({ digest, path: blobPath(digest) }, async () => await this.#orphan(digest))
    })
    await this.#judge.settle()
  }

  async #orphan (digest: Digest): Promise<Problem[]> {
    const file = await orIfMissing(this.#options.driver.stat(blobPath(digest)), undefined)
    if (file === undefined || file.isDirectory) return []
    return [{ severity: 'orphaned', what: `${formatBytes(file.size)} that no repository links to` }]
  }

  async #eachBlob (what: string, visit: (digest: Digest) => Promise<void>, { after = '', onShard }: { after?: string, onShard?: VerifyOptions['onShard'] | undefined } = {}): Promise<void> {
    const { driver, signal } = this.#options
    const shards = await blobShards(driver)
    this.#progress.begin(what, shards.length)
    for (const shard of shards) {
      const name = `${shard.algorithm}/${shard.prefix}`
      if (name > after) {
        for (const digest of await blobsOf(driver, shard)) {
          signal?.throwIfAborted()
          await visit(digest)
          this.#progress.advance(0, formatBytes(this.#result.bytes))
        }
        await onShard?.(name)
      }
      this.#progress.advance()
    }
  }

  #report (finding: Finding): void {
    this.#result[finding.severity]++
    if (finding.repaired !== undefined) this.#result.repaired++
    if (finding.repaired === 'set aside') this.#isAside = true
    this.#options.onFinding(finding)
  }
}
