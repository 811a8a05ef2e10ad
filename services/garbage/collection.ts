import type { Digest, RepositoryName } from '../reference/reference.js'
import { concurrently } from '../registry/concurrently.js'
import { revisionDirectory } from '../registry/layout.js'
import { walkRepositories } from '../registry/walk.js'
import type { Clock } from '../maintenance/clock.js'
import { systemClock } from '../maintenance/clock.js'
import type { StorageDriver } from '../storage/driver.js'
import { livingCandidates } from './live-manifests.js'
import { ManifestReader } from './manifest-reader.js'
import { Mark } from './mark.js'
import { Quarantine } from './quarantine.js'
import { noCounts } from './report.js'
import type { CollectionObserver, CollectionResult, Counts } from './report.js'
import { RepositoryView } from './repository-view.js'
import { Settlement } from './settlement.js'
import { Sweep } from './sweep.js'
import { tidyRepository } from './tidy.js'
import { WithdrawnManifests } from './withdrawn-manifests.js'

export interface CollectionOptions {
  readonly driver: StorageDriver
  /** Content and manifests younger than this stay, and what was put aside is deleted after this long. 0 while nobody pushes. */
  readonly graceMs: number
  /** Manifests without a tag go too, unless something that stays needs them. */
  readonly deleteUntagged: boolean
  readonly dryRun: boolean
  /** Makes every cache, on every process, forget what it knows of content that was put aside. */
  readonly forget: (digest: Digest) => Promise<void>
  /** Storage calls at a time. */
  readonly width?: number
  /** Called between single things, for a collection that is not to be noticed. */
  readonly rest?: () => Promise<void>
  readonly observer?: CollectionObserver
  readonly signal?: AbortSignal
  readonly clock?: Pick<Clock, 'now'>
}

/**
 * One garbage collection: marks what is needed, puts aside what is not, looks again, and only then puts back what is
 * needed after all and deletes what has been aside for the grace period. Safe beside a registry that serves, and beside
 * another collection; why is written in docs/garbage-collection.md.
 */
export class Collection {
  readonly #options: CollectionOptions
  readonly #width: number
  readonly #clock: Pick<Clock, 'now'>
  readonly #quarantine: Quarantine
  readonly #withdrawn: WithdrawnManifests
  readonly #reader: ManifestReader
  readonly #mark: Mark
  readonly #counts: Counts
  readonly #doubted = new Set<string>()

  constructor (options: CollectionOptions) {
    const { driver, width = 1, clock = systemClock, observer, dryRun } = options
    this.#options = options
    this.#width = width
    this.#clock = clock
    this.#quarantine = new Quarantine(driver)
    this.#withdrawn = new WithdrawnManifests(driver, this.#quarantine)
    this.#reader = new ManifestReader(driver, this.#quarantine)
    this.#counts = noCounts(dryRun)
    this.#mark = new Mark({
      reader: this.#reader,
      because: (digest, reason) => observer?.kept?.(digest, reason),
      doubt: (...what) => { this.#doubt(...what) }
    })
  }

  /** Rejects with the signal's reason, or with the error of storage that ended it; the next run goes on from there. */
  async run (): Promise<CollectionResult> {
    const { graceMs, dryRun } = this.#options
    const began = this.#clock.now()
    const run = this.#quarantine.newRun(began)
    const sweep = new Sweep({ ...this.#options, run, before: began - graceMs, quarantine: this.#quarantine, withdrawn: this.#withdrawn, mark: this.#mark, reader: this.#reader, counts: this.#counts, width: this.#width })
    await this.#eachRepository(async view => { await this.#markRepository(view, sweep, began - graceMs) })
    await sweep.content()
    if (!dryRun) {
      if ((await this.#quarantine.runs()).includes(run)) await this.#quarantine.close(run, this.#clock.now())
      const settlement = await Settlement.begin({ ...this.#options, run, clock: this.#clock, quarantine: this.#quarantine, withdrawn: this.#withdrawn, mark: this.#mark, counts: this.#counts })
      await this.#eachRepository(async view => { await this.#lookAgain(view, settlement) })
      await settlement.content()
    }
    this.#counts.seconds = (this.#clock.now() - began) / 1000
    return this.#counts
  }

  async #eachRepository (work: (view: RepositoryView) => Promise<void>): Promise<void> {
    const { driver, signal } = this.#options
    for await (const name of walkRepositories(driver, { signal })) {
      signal?.throwIfAborted()
      await work(this.#view(name))
    }
  }

  /** Marks what the repository needs, and withdraws the manifests it does not. */
  async #markRepository (view: RepositoryView, sweep: Sweep, before: number): Promise<void> {
    const { observer } = this.#options
    observer?.repository?.(view.name)
    this.#counts.repositories++
    const { linked, unlinked } = await view.manifests()
    if (!this.#options.dryRun) await concurrently(unlinked, async digest => await this.#quarantine.prune(revisionDirectory(view.name, digest)), this.#width)
    const { live, dead } = await this.#judge(view, linked, before)
    const isCertain = await this.#markAll(view, live, linked)
    if (isCertain) {
      this.#counts.manifests.kept += live.length
      await sweep.manifests(view, dead)
    } else {
      this.#counts.manifests.kept += linked.size
      await this.#keepEverything(view, dead, linked)
    }
  }

  /** After the sweep: whatever is linked now lives, and so does what was withdrawn and is needed by that. */
  async #lookAgain (view: RepositoryView, settlement: Settlement): Promise<void> {
    const { linked, unlinked } = await view.manifests()
    const withdrawn = settlement.withdrawnFrom(view.name)
    // Another collection may take the link of a manifest away while an index that lists it is pushed, between the
    // listing, in which the index is not, and the look at the link, which is gone.
    const elsewhere = await concurrently(unlinked, async digest => !withdrawn.has(digest) && await this.#isWithdrawn(view, digest), this.#width)
    const tagged = withdrawn.size === 0 ? undefined : await view.tagged()
    const roots = [...linked.keys(), ...unlinked.filter((_, i) => elsewhere[i]), ...[...withdrawn].filter(digest => tagged === undefined || tagged.has(digest))]
    const candidates = new Set([...withdrawn].filter(digest => tagged?.has(digest) === false))
    const living = await livingCandidates({ view, reader: this.#reader, roots, candidates, width: this.#width })
    const live = new Set([...roots, ...living.keys()])
    const isCertain = await this.#markAll(view, [...live], linked)
    if (!isCertain) await this.#keepEverything(view, [...withdrawn], linked)
    const isWaiting = await settlement.manifests(view.name, digest => !isCertain || live.has(digest))
    if (live.size === 0 && !isWaiting) await tidyRepository(this.#options.driver, view.name)
  }

  async #judge (view: RepositoryView, linked: ReadonlyMap<Digest, Date>, before: number): Promise<{ live: Digest[], dead: Digest[] }> {
    const all = [...linked.keys()]
    const tagged = this.#options.deleteUntagged ? await view.tagged() : undefined
    if (tagged === undefined) {
      for (const digest of all) this.#explain(digest, () => `${view.name}: manifest, linked`)
      return { live: all, dead: [] }
    }
    const isRoot = (digest: Digest): boolean => tagged.has(digest) || (linked.get(digest)?.getTime() ?? 0) > before
    const roots = all.filter(isRoot)
    const candidates = new Set(all.filter(digest => !isRoot(digest)))
    const living = await livingCandidates({ view, reader: this.#reader, roots, candidates, width: this.#width })
    for (const digest of roots) this.#explain(digest, () => `${view.name}: manifest, ${tagged.has(digest) ? `tagged ${tagged.get(digest)?.join(', ') ?? ''}` : 'pushed within the grace period'}`)
    for (const [digest, reason] of living) this.#explain(digest, () => `${view.name}: manifest, ${reason}`)
    const dead = all.filter(digest => !isRoot(digest) && !living.has(digest))
    return { live: [...roots, ...living.keys()], dead }
  }

  async #isWithdrawn (view: RepositoryView, digest: Digest): Promise<boolean> {
    return await this.#withdrawn.has(view.name, digest) || await view.hasManifest(digest)
  }

  async #markAll (view: RepositoryView, live: readonly Digest[], linked: ReadonlyMap<Digest, Date>): Promise<boolean> {
    const certain = await concurrently(live, async digest => {
      await this.#options.rest?.()
      return await this.#mark.manifest(view, digest, linked)
    }, this.#width)
    return !certain.includes(false)
  }

  async #keepEverything (view: RepositoryView, manifests: readonly Digest[], linked: ReadonlyMap<Digest, Date>): Promise<void> {
    await this.#mark.layers(view)
    await this.#markAll(view, manifests, linked)
  }

  /** Once, although every repository is looked at twice. */
  #doubt (name: RepositoryName, manifest: Digest, problem: string): void {
    const key = `${name}@${manifest}`
    if (this.#doubted.has(key)) return
    this.#doubted.add(key)
    this.#counts.doubts++
    this.#options.observer?.doubt?.(name, manifest, problem)
  }

  #explain (digest: Digest, reason: () => string): void {
    this.#options.observer?.kept?.(digest, reason)
  }

  #view (name: RepositoryName): RepositoryView {
    const { driver, signal } = this.#options
    return new RepositoryView({ driver, name, width: this.#width, signal })
  }
}
