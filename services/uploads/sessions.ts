import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { isPathNotFound, orIfMissing } from '../errors/driver-error.js'
import { OciError } from '../errors/oci-error.js'
import type { RepositoryName } from '../reference/reference.js'
import { uploadDataPath, uploadDigestsPath, uploadPath, uploadStartedAtPath } from '../registry/layout.js'
import type { FileWriter, StorageDriver } from '../storage/driver.js'
import { RunningDigests, readDigests, writeDigests } from './digests.js'
import { LocalUploadLocks } from './locks.js'
import type { UploadLease, UploadLocks } from './locks.js'
import { UploadSession } from './session.js'

/** Hashes in progress that are remembered between requests; a forgotten one costs a second read at the end. */
const MAX_RUNNING = 1000

export interface UploadSessionsOptions {
  readonly driver: StorageDriver
  readonly locks?: UploadLocks
}

/**
 * Upload sessions, each a directory `_uploads/<id>` of its repository, laid out as docker's registry does. Nothing
 * about a session is known only to this process: any other one on the same storage can go on with it.
 */
export class UploadSessions {
  readonly #driver: StorageDriver
  readonly #locks: UploadLocks
  readonly #running = new LRUCache<string, RunningDigests>({ max: MAX_RUNNING })
  readonly #stats = { opened: 0, resumed: 0 }

  constructor ({ driver, locks = new LocalUploadLocks() }: UploadSessionsOptions) {
    this.#driver = driver
    this.#locks = locks
  }

  /** Sessions that began, and requests that went on with one that held bytes already; in this process, since it started. */
  stats (): { readonly opened: number, readonly resumed: number } {
    return { ...this.#stats }
  }

  /**
   * A new, empty session, which becomes durable with its first bytes: until then nothing is acknowledged that could be
   * lost. With `sha512` its bytes are hashed under both algorithms from the start.
   */
  async start (name: RepositoryName, { sha512 = false, signal }: { readonly sha512?: boolean, readonly signal?: AbortSignal } = {}): Promise<UploadSession> {
    const id = randomUUID()
    signal?.throwIfAborted()
    const lease = this.#locks.fresh(uploadPath(name, id))
    const running = new RunningDigests(sha512 ? ['sha512'] : [])
    try {
      const writer = await this.#create(name, id)
      if (sha512) await writeDigests(this.#driver, uploadDigestsPath(name, id), running.current())
      this.#stats.opened++
      return this.#session({ id, name, writer, lease, running })
    } catch (error) {
      lease.release()
      await this.#driver.delete(uploadPath(name, id)).catch(() => {})
      throw error
    }
  }

  /** Waits for the session's lock and opens it where it stands. @throws {OciError} BLOB_UPLOAD_UNKNOWN */
  async resume (name: RepositoryName, id: string, signal: AbortSignal): Promise<UploadSession> {
    const lease = await this.#locks.acquire(uploadPath(name, id), signal)
    let writer: FileWriter | undefined
    try {
      writer = await this.#open(name, id)
      const running = await this.#digests(name, id, writer)
      if (writer.size > 0) this.#stats.resumed++
      return this.#session({ id, name, writer, lease, running })
    } catch (error) {
      await writer?.close().catch(() => {})
      lease.release()
      throw error
    }
  }

  /** Bytes the session holds, after a dead request on it has let go. @throws {OciError} BLOB_UPLOAD_UNKNOWN */
  async offset (name: RepositoryName, id: string, signal: AbortSignal): Promise<number> {
    await this.#locks.settled(uploadPath(name, id), signal)
    const writer = await this.#open(name, id)
    const { size } = writer
    await writer.close()
    return size
  }

  /** Ends the session, also under a request that is writing to it. @throws {OciError} BLOB_UPLOAD_UNKNOWN */
  async cancel (name: RepositoryName, id: string, signal: AbortSignal): Promise<void> {
    const lease = await this.#locks.seize(uploadPath(name, id), signal)
    try {
      this.#running.delete(uploadPath(name, id))
      const found = await orIfMissing(this.#driver.delete(uploadPath(name, id)).then(() => true), false)
      if (!found) throw new OciError('BLOB_UPLOAD_UNKNOWN')
    } finally {
      lease.release()
    }
  }

  /**
   * Removes a session that `isStale` finds stale, unless a request holds it or asks for it meanwhile; a request that
   * comes while it is being removed waits, and finds no session. Says whether it was removed.
   */
  async removeStale (name: RepositoryName, id: string, isStale: () => Promise<boolean>): Promise<boolean> {
    const lease = await this.#locks.tryAcquire(uploadPath(name, id))
    if (lease === undefined) return false
    try {
      if (!await isStale() || lease.signal.aborted) return false
      this.#running.delete(uploadPath(name, id))
      return await orIfMissing(this.#driver.delete(uploadPath(name, id)).then(() => true), false)
    } finally {
      lease.release()
    }
  }

  #session (parts: { id: string, name: RepositoryName, writer: FileWriter, lease: UploadLease, running: RunningDigests | undefined }): UploadSession {
    return new UploadSession({
      ...parts,
      driver: this.#driver,
      keep: running => { this.#running.set(uploadPath(parts.name, parts.id), running) }
    })
  }

  /** Both files at the same time: nobody knows of the session before it has both. */
  async #create (name: RepositoryName, id: string): Promise<FileWriter> {
    const dated = this.#driver.write(uploadStartedAtPath(name, id), Buffer.from(startedAt(new Date()), 'latin1'), { durable: false })
    const [date, writer] = await Promise.allSettled([dated, this.#driver.openWriter(uploadDataPath(name, id))])
    if (date.status === 'fulfilled' && writer.status === 'fulfilled') return writer.value
    if (writer.status === 'fulfilled') await writer.value.close().catch(() => {})
    throw date.status === 'rejected' ? date.reason : (writer as PromiseRejectedResult).reason
  }

  async #open (name: RepositoryName, id: string): Promise<FileWriter> {
    try {
      return await this.#driver.openWriter(uploadDataPath(name, id), { append: true })
    } catch (error) {
      if (isPathNotFound(error)) throw new OciError('BLOB_UPLOAD_UNKNOWN', { cause: error })
      throw error
    }
  }

  /** The hash to go on with. None for a session that another process began: its end is then read again. */
  async #digests (name: RepositoryName, id: string, { size, version }: FileWriter): Promise<RunningDigests | undefined> {
    const key = uploadPath(name, id)
    const running = this.#running.get(key)
    this.#running.delete(key)
    if (running?.offset === size && running.version === version) return running
    if (size > 0) return undefined
    const kept = await readDigests(this.#driver, uploadDigestsPath(name, id))
    return new RunningDigests(kept?.digests.keys() ?? [])
  }
}

/** RFC 3339 in whole seconds, as docker's registry writes it and its purge reads it. */
function startedAt (now: Date): string {
  return now.toISOString().replace(/\.\d{3}Z$/, 'Z')
}
