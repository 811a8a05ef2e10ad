import { formatDuration } from '../config/duration.js'
import type { StorageDriver } from '../storage/driver.js'
import type { UploadSessions } from '../uploads/sessions.js'
import type { Clock } from './clock.js'
import { Job } from './job.js'
import type { JobStatus } from './job.js'
import type { Log } from './log.js'
import { purgeUploads } from './purge-uploads.js'
import type { PurgeResult } from './purge-uploads.js'

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

export interface UploadPurgeStatus extends JobStatus<PurgeResult> {
  /** Over all runs since the start. */
  readonly deleted: number
  readonly bytes: number
}

/** Purges uploads again and again, for the first time within an hour. */
export class UploadPurge {
  readonly #options: UploadPurgeOptions
  readonly #job: Job<PurgeResult>
  readonly #total = { deleted: 0, bytes: 0 }

  constructor (options: UploadPurgeOptions) {
    const { log, random = Math.random } = options
    this.#options = options
    this.#job = new Job({
      ...options,
      name: 'upload purge',
      lease: UPLOAD_PURGE,
      // Whole minutes, as docker's registry does, so that servers that start together do not purge together.
      firstMs: Math.floor(random() * 60) * 60_000,
      announce: ms => { log.info(`Starting upload purge in ${formatDuration(ms)}`) },
      run: async signal => await this.#purge(signal)
    })
  }

  get status (): UploadPurgeStatus {
    return { ...this.#job.status, ...this.#total }
  }

  start (): void {
    this.#job.start()
  }

  /** One run now. Undefined when another server on the same storage is at it. */
  async runOnce (): Promise<PurgeResult | undefined> {
    return await this.#job.runOnce()
  }

  async stop (): Promise<void> {
    await this.#job.stop()
  }

  async #purge (signal: AbortSignal): Promise<PurgeResult> {
    const result = await purgeUploads({ ...this.#options, signal })
    if (!result.dryRun) {
      this.#total.deleted += result.deleted
      this.#total.bytes += result.bytes
    }
    return result
  }
}
