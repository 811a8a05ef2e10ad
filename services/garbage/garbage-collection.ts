import { setTimeout as sleep } from 'node:timers/promises'
import type { Digest } from '../reference/reference.js'
import type { StorageDriver } from '../storage/driver.js'
import { systemClock } from '../maintenance/clock.js'
import type { Clock } from '../maintenance/clock.js'
import { acquireLease } from '../maintenance/lease.js'
import type { Log } from '../maintenance/log.js'
import { Ticker } from '../maintenance/ticker.js'
import { Collection } from './collection.js'
import type { CollectionResult } from './report.js'

/** Of the lease under which garbage is collected. */
export const GARBAGE_COLLECTION = 'garbage-collection'

/** How long it works without a pause. */
const WORK_MS = 5

/** The first run comes within this time after the start, and within the interval. */
const MAX_FIRST_MS = 60 * 60_000

export interface GarbageCollectionOptions {
  readonly driver: StorageDriver
  readonly intervalMs: number
  readonly graceMs: number
  readonly deleteUntagged: boolean
  readonly dryRun: boolean
  readonly forget: (digest: Digest) => Promise<void>
  readonly log: Log
  readonly clock?: Clock
  readonly random?: () => number
}

export interface GarbageCollectionStatus {
  readonly runs: number
  readonly failures: number
  /** Over all runs since the start; of dry runs nothing counts. */
  readonly manifests: number
  readonly blobs: number
  readonly bytes: number
  readonly restored: number
  readonly running: boolean
  readonly last: (CollectionResult & { readonly finished: string }) | null
}

/** Collects garbage again and again beside the requests, one server on this storage at a time. */
export class GarbageCollection {
  readonly #options: GarbageCollectionOptions
  readonly #clock: Clock
  readonly #ticker: Ticker<CollectionResult | undefined>
  #status: GarbageCollectionStatus = { runs: 0, failures: 0, manifests: 0, blobs: 0, bytes: 0, restored: 0, running: false, last: null }

  constructor (options: GarbageCollectionOptions) {
    const { intervalMs, log, clock = systemClock, random = Math.random } = options
    this.#options = options
    this.#clock = clock
    this.#ticker = new Ticker({
      name: 'garbage collection',
      firstMs: Math.floor(random() * Math.min(MAX_FIRST_MS, intervalMs)),
      intervalMs,
      jitter: 0.1,
      run: async signal => await this.#run(signal),
      log,
      clock,
      random
    })
  }

  get status (): GarbageCollectionStatus {
    return this.#status
  }

  start (): void {
    this.#ticker.start()
  }

  /** One run now. Undefined when another server on the same storage is at it. */
  async runOnce (): Promise<CollectionResult | undefined> {
    return await this.#ticker.runNow()
  }

  async stop (): Promise<void> {
    await this.#ticker.stop()
  }

  async #run (stopped: AbortSignal): Promise<CollectionResult | undefined> {
    const { driver, log } = this.#options
    this.#status = { ...this.#status, running: true }
    try {
      await using lease = await acquireLease(driver, GARBAGE_COLLECTION, { clock: this.#clock })
      if (lease !== undefined) return await this.#collect(AbortSignal.any([stopped, lease.signal]))
      log.info('another server collects garbage on this storage')
      return undefined
    } catch (error) {
      this.#status = { ...this.#status, failures: this.#status.failures + 1 }
      throw error
    } finally {
      this.#status = { ...this.#status, running: false }
    }
  }

  async #collect (signal: AbortSignal): Promise<CollectionResult> {
    const { driver, graceMs, deleteUntagged, dryRun, forget, log } = this.#options
    const collection = new Collection({
      driver,
      graceMs,
      deleteUntagged,
      dryRun,
      forget,
      signal,
      rest: resting(),
      clock: this.#clock,
      observer: {
        doubt: (repository, manifest, problem) => { log.warn({ repository, manifest }, `nothing in this repository is collected: a manifest ${problem}`) }
      }
    })
    const result = await collection.run()
    log.info({ collection: result }, `garbage collection${dryRun ? ' (dry run)' : ''}: ${result.blobs.quarantined} blobs put aside, ${result.blobs.restored} put back, ${result.blobs.deleted} deleted`)
    const { runs, manifests, blobs, bytes, restored } = this.#status
    this.#status = {
      ...this.#status,
      runs: runs + 1,
      manifests: manifests + result.manifests.deleted,
      blobs: blobs + result.blobs.deleted,
      bytes: bytes + result.bytes.deleted,
      restored: restored + result.blobs.restored + result.manifests.restored,
      last: { ...result, finished: new Date(this.#clock.now()).toISOString() }
    }
    return result
  }
}

/** Half of the time is left to the requests: after some work, as long a pause. */
function resting (): () => Promise<void> {
  let began = performance.now()
  return async () => {
    const worked = performance.now() - began
    if (worked < WORK_MS) return
    await sleep(worked, undefined, { ref: false })
    began = performance.now()
  }
}
