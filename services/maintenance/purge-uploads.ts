import { orIfMissing, readSmall } from '../errors/driver-error.js'
import type { RepositoryName } from '../reference/reference.js'
import { uploadPath, uploadStartedAtPath } from '../registry/layout.js'
import { walkRepositories, walkUploads } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import type { UploadSessions } from '../uploads/sessions.js'
import { systemClock } from './clock.js'
import type { Clock } from './clock.js'
import type { Log } from './log.js'

/**
 * A session that got bytes this short a time ago may have a writer in another process, whatever age is asked for: a
 * server without Redis, or a command, does not know of the locks of others.
 */
const RECENT_MS = 60_000
const MAX_STARTED_AT_BYTES = 256

export interface PurgeOptions {
  readonly driver: StorageDriver
  /** Whose locks keep requests and the purge apart. */
  readonly sessions: UploadSessions
  /** How long ago a session must have been started, and must have got its last byte. In milliseconds. */
  readonly ageMs: number
  /** Says what it would remove, and removes nothing. */
  readonly dryRun: boolean
  readonly log: Log
  /** Told of every session that was removed, or would be. */
  readonly onPurged?: (upload: StaleUpload) => void
  readonly signal?: AbortSignal | undefined
  readonly clock?: Pick<Clock, 'now'>
}

export interface StaleUpload {
  readonly repository: RepositoryName
  readonly id: string
  /** Undefined where nothing, or nothing that is a time, says when it was started. */
  readonly startedAt: Date | undefined
  /** When anything in it was last written. */
  readonly lastWrite: Date
  readonly bytes: number
}

export interface PurgeResult {
  readonly dryRun: boolean
  /** Sessions there were. */
  readonly sessions: number
  /** Those that were removed, or would be. */
  readonly deleted: number
  readonly bytes: number
  readonly errors: number
}

/**
 * Removes upload sessions that nobody finished, as docker's registry does, of which it finds the sessions too. Looks
 * at one session at a time, takes a session's last write for a sign of life, and does not need to know when it was
 * started. What cannot be looked at or removed is logged and counted.
 */
export async function purgeUploads (options: PurgeOptions): Promise<PurgeResult> {
  return await new UploadPurger(options).run()
}

class UploadPurger {
  readonly #options: PurgeOptions
  readonly #now: number
  /** The latest time that is old enough. */
  readonly #olderThan: Date
  readonly #result = { sessions: 0, deleted: 0, bytes: 0, errors: 0 }

  constructor (options: PurgeOptions) {
    const { ageMs, clock = systemClock } = options
    this.#options = options
    this.#now = clock.now()
    this.#olderThan = new Date(this.#now - Math.min(ageMs, this.#now))
  }

  async run (): Promise<PurgeResult> {
    const { driver, dryRun, log, signal } = this.#options
    log.info(`PurgeUploads starting: olderThan=${this.#olderThan.toISOString()}, actuallyDelete=${!dryRun}`)
    try {
      for await (const repository of walkRepositories(driver, { signal })) {
        for await (const id of walkUploads(driver, repository, { signal })) await this.#look(repository, id)
      }
    } finally {
      const { deleted, errors } = this.#result
      log.info(`Purge uploads finished.  Num deleted=${deleted}, num errors=${errors}`)
    }
    return { dryRun, ...this.#result }
  }

  async #look (repository: RepositoryName, id: string): Promise<void> {
    this.#result.sessions++
    try {
      const stale = await this.#stale(repository, id)
      if (stale !== undefined && (this.#options.dryRun || await this.#remove(stale))) this.#count(stale)
    } catch (error) {
      this.#result.errors++
      this.#options.log.error({ err: error }, `cannot purge ${uploadPath(repository, id)}`)
    }
  }

  async #stale (repository: RepositoryName, id: string): Promise<StaleUpload | undefined> {
    const startedAt = await readStartedAt(this.#options.driver, repository, id)
    if (startedAt !== undefined && startedAt >= this.#olderThan) return undefined
    const files = await filesBelow(this.#options.driver, uploadPath(repository, id))
    if (files === undefined) return undefined
    const { lastWrite, bytes } = files
    if (lastWrite >= this.#olderThan || this.#now - lastWrite.getTime() < RECENT_MS) return undefined
    return { repository, id, startedAt, lastWrite, bytes }
  }

  /** Looks once more with the session's lock held: it may have got a request meanwhile. */
  async #remove ({ repository, id }: StaleUpload): Promise<boolean> {
    return await this.#options.sessions.removeStale(repository, id, async () => await this.#stale(repository, id) !== undefined)
  }

  #count (upload: StaleUpload): void {
    const { dryRun, log, onPurged } = this.#options
    this.#result.deleted++
    this.#result.bytes += upload.bytes
    const date = (upload.startedAt ?? upload.lastWrite).toISOString()
    log.info(`Upload files in ${uploadPath(upload.repository, upload.id)} have older date (${date}) than purge date (${this.#olderThan.toISOString()}).  ${dryRun ? 'Dry run: the upload directory stays.' : 'Removed the upload directory.'}`)
    onPurged?.(upload)
  }
}

async function readStartedAt (driver: StorageDriver, name: RepositoryName, id: string): Promise<Date | undefined> {
  const content = await readSmall(driver.read(uploadStartedAtPath(name, id), { maxBytes: MAX_STARTED_AT_BYTES }))
  const text = content?.toString('latin1').trim() ?? ''
  // Date takes far more than RFC 3339, a bare number among it.
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) ? Date.parse(text) : NaN
  return Number.isNaN(time) ? undefined : new Date(time)
}

interface Files { readonly lastWrite: Date, readonly bytes: number }

/**
 * What lies below a session's directory. A directory that holds no file is as old as itself: that of a session that is
 * just being made, or what an interrupted purge left. Undefined when it is gone.
 */
async function filesBelow (driver: StorageDriver, path: string): Promise<Files | undefined> {
  const { isDirectory, modified, size } = await orIfMissing(driver.stat(path), { isDirectory: false, modified: undefined, size: 0 })
  if (modified === undefined) return undefined
  if (!isDirectory) return { lastWrite: modified, bytes: size }
  let found: Files | undefined
  for (const child of await orIfMissing(driver.list(path), [])) {
    const files = await filesBelow(driver, `${path}/${child}`)
    if (files === undefined) continue
    const lastWrite = found === undefined || files.lastWrite > found.lastWrite ? files.lastWrite : found.lastWrite
    found = { lastWrite, bytes: (found?.bytes ?? 0) + files.bytes }
  }
  return found ?? { lastWrite: modified, bytes: 0 }
}
