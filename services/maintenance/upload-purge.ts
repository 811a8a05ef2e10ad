import { formatDuration } from '../config/duration.js'
import type { StorageDriver } from '../storage/driver.js'
import type { UploadSessions } from '../uploads/sessions.js'
import { systemClock } from './clock.js'
import type { Clock } from './clock.js'
import { acquireLease } from './lease.js'
import type { Log } from './log.js'
import { purgeUploads } from './purge-uploads.js'
import type { PurgeResult } from './purge-uploads.js'
import { Ticker } from './ticker.js'

/** Of the lease under which uploads are purged. */
export const UPLOAD_PURGE = 'upload-purge'

export interface UploadPurgeOptions {
  readonly driver: StorageDriver
  readonly sessions: UploadSessions
  readonly ageMs: number
  readonly intervalMs: number
  readonly dryRun: boolean
  readonly log: Log
  readonly clock?: Clock
  readonly random?: () => number
}

export interface UploadPurgeStatus {
  readonly runs: number
  readonly failures: number
  /** Over all runs since the start. */
  readonly deleted: number
  readonly bytes: number
  readonly last: (PurgeResult & { readonly finished: string, readonly ms: number }) | null
}

/** Purges uploads again and again, for the first time within an hour, one server on this storage at a time. */
export class UploadPurge {
  readonly #options: UploadPurgeOptions
  readonly #clock: Clock
  readonly #ticker: Ticker<PurgeResult | undefined>
  #status: UploadPurgeStatus = { runs: 0, failures: 0, deleted: 0, bytes: 0, last: null }

  constructor (options: UploadPurgeOptions) {
    const { intervalMs, log, clock = systemClock, random = Math.random } = options
    this.#options = options
    this.#clock = clock
    this.#ticker = new Ticker({
      name: 'upload purge',
      // Whole minutes, as docker's registry does, so that servers that start together do not purge together.
      firstMs: Math.floor(random() * 60) * 60_000,
      intervalMs,
      run: async signal => await this.#run(signal),
      announce: ms => { log.info(`Starting upload purge in ${formatDuration(ms)}`) },
      log,
      clock
    })
  }

  get status (): UploadPurgeStatus {
    return this.#status
  }

  start (): void {
    this.#ticker.start()
  }

  /** One run now. Undefined when another server on the same storage is at it. */
  async runOnce (): Promise<PurgeResult | undefined> {
    return await this.#ticker.runNow()
  }

  async stop (): Promise<void> {
    await this.#ticker.stop()
  }

  async #run (stopped: AbortSignal): Promise<PurgeResult | undefined> {
    const { driver, log } = this.#options
    try {
      await using lease = await acquireLease(driver, UPLOAD_PURGE, { clock: this.#clock })
      if (lease !== undefined) return await this.#purge(AbortSignal.any([stopped, lease.signal]))
      log.info('another server purges uploads on this storage')
      return undefined
    } catch (error) {
      this.#status = { ...this.#status, failures: this.#status.failures + 1 }
      throw error
    }
  }

  async #purge (signal: AbortSignal): Promise<PurgeResult> {
    const began = this.#clock.now()
    const result = await purgeUploads({ ...this.#options, signal })
    const { runs, failures, deleted, bytes } = this.#status
    const finished = this.#clock.now()
    this.#status = {
      runs: runs + 1,
      failures,
      deleted: deleted + (result.dryRun ? 0 : result.deleted),
      bytes: bytes + (result.dryRun ? 0 : result.bytes),
      last: { ...result, finished: new Date(finished).toISOString(), ms: finished - began }
    }
    return result
  }
}
