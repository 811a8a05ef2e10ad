import type { Readable } from 'node:stream'
import { orIfMissing } from '../errors/driver-error.js'
import { OciError } from '../errors/oci-error.js'
import { CANONICAL, algorithmOf } from '../reference/reference.js'
import type { Algorithm, Digest, RepositoryName } from '../reference/reference.js'
import { uploadDataPath, uploadDigestsPath, uploadPath, uploadStartedAtPath } from '../registry/layout.js'
import type { FileWriter, StorageDriver } from '../storage/driver.js'
import { RunningDigests, digestFile, readDigests, writeDigests } from './digests.js'
import type { DigestsAt } from './digests.js'
import type { UploadLease } from './locks.js'
import { ClientAborted, receive } from '../http/receive.js'

export interface UploadSessionParts {
  readonly id: string
  readonly name: RepositoryName
  readonly driver: StorageDriver
  readonly writer: FileWriter
  readonly lease: UploadLease
  /** The hash of everything received, if this process has it. */
  readonly running: RunningDigests | undefined
  /** Takes the hash back when the request is over, so that the next one can go on with it. */
  readonly keep: (running: RunningDigests) => void
}

/** Judges what a session takes in. */
export interface UploadMeter {
  /** Called with what the session is about to hold in all, before it is written. What it throws refuses the upload, and ends it. */
  admit (bytes: number): Promise<void>
  /** Called when the request lets go of the session; `kept` unless the session is gone. */
  end (kept: boolean): Promise<void>
}

export interface VerifiedUpload {
  readonly canonical: Digest
  readonly size: number
  /** Where the bytes are. */
  readonly path: string
  /** A file of the session that nobody needs when the bytes have left it. */
  readonly spare: string
}

/**
 * One request's hold on an upload session. Disposing gives the session up for the next request; what was received
 * until then stays, and stays durable.
 */
export class UploadSession implements AsyncDisposable {
  readonly id: string
  readonly #parts: UploadSessionParts
  readonly #dataPath: string
  readonly #digestsPath: string
  #running: RunningDigests | undefined
  #meter: UploadMeter | undefined
  #open = true
  #discarded = false

  constructor (parts: UploadSessionParts) {
    this.id = parts.id
    this.#parts = parts
    this.#running = parts.running
    this.#dataPath = uploadDataPath(parts.name, parts.id)
    this.#digestsPath = uploadDigestsPath(parts.name, parts.id)
  }

  /** Bytes the session holds: what storage says, never what a client said. */
  get offset (): number {
    return this.#parts.writer.size
  }

  /** Has every byte judged before it is written. */
  meter (meter: UploadMeter): void {
    this.#meter = meter
  }

  /**
   * Has a body judged by the length it declares, before any of it is read. Nothing to wait for where nobody judges, or no
   * length is declared.
   */
  expect (length: number | undefined): Promise<void> | undefined {
    if (this.#meter === undefined || length === undefined || length === 0) return undefined
    return this.#expect(this.#meter, length)
  }

  /** Hashes what comes under one more algorithm, where that is still possible: before the first byte. */
  hashWith (algorithm: Algorithm): void {
    if (this.offset === 0 && this.#running?.algorithms.includes(algorithm) !== true) {
      this.#running = new RunningDigests([...this.#running?.algorithms ?? [], algorithm])
    }
  }

  /**
   * Appends a request body. With `length` the body must have exactly that many bytes. When the client goes away the
   * bytes that arrived stay; when anything else goes wrong all of the body is taken back, which also gives a full disk
   * its space again.
   *
   * @throws {OciError} SIZE_INVALID, RANGE_INVALID when another request took the session over
   */
  async append (source: Readable, { length }: { readonly length?: number } = {}): Promise<void> {
    const { writer, lease } = this.#parts
    const start = writer.size
    try {
      await receive(source, {
        signal: lease.signal,
        heard: lease.touch,
        sink: chunks => this.#take(chunks, start, length)
      })
      if (length !== undefined && writer.size - start !== length) throw new OciError('SIZE_INVALID')
    } catch (error) {
      if (lease.signal.aborted) {
        throw new OciError('RANGE_INVALID', { detail: 'another request took over this upload', cause: error })
      }
      if (!this.#discarded && !(error instanceof ClientAborted)) await this.#rollBack(start)
      throw error
    }
  }

  /** Makes what was appended durable and keeps its digests with the session. To be awaited before a 202. */
  async flush (): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#parts.writer.close()
    const running = this.#intactDigests()
    if (running !== undefined && running.offset > 0) {
      await writeDigests(this.#parts.driver, this.#digestsPath, running.current())
    }
  }

  /**
   * Compares the session's bytes with a digest of any supported algorithm. The bytes are read again only if nobody
   * kept a digest of them. A mismatch ends the session.
   *
   * @throws {OciError} DIGEST_INVALID
   */
  async verify (digest: Digest): Promise<VerifiedUpload> {
    this.#open = false
    await this.#parts.writer.close({ moving: true })
    const { digests } = await this.#digestsFor(digest)
    const canonical = digests.get(CANONICAL)
    if (canonical === undefined || digests.get(algorithmOf(digest)) !== digest) {
      // What cannot be removed now is for the purge; the client is to hear what is wrong with its bytes.
      await this.discard().catch(() => {})
      throw new OciError('DIGEST_INVALID', { detail: `content does not match digest ${digest}` })
    }
    return { canonical, size: this.offset, path: this.#dataPath, spare: uploadStartedAtPath(this.#parts.name, this.id) }
  }

  /** Ends the session and removes what is left of it. */
  async discard (): Promise<void> {
    this.#discarded = true
    if (this.#open) {
      this.#open = false
      await orIfMissing(this.#parts.writer.cancel(), undefined)
    }
    await orIfMissing(this.#parts.driver.delete(uploadPath(this.#parts.name, this.id)), undefined)
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    try {
      // After a success this does nothing. After a failure there is an error on its way already, and a second one
      // would only hide it: what cannot be flushed was not acknowledged.
      await this.flush().catch(() => {})
      const running = this.#intactDigests()
      if (running !== undefined && !this.#discarded) this.#parts.keep(running)
    } finally {
      await this.#meter?.end(!this.#discarded)
      this.#parts.lease.release()
    }
  }

  async #expect (meter: UploadMeter, length: number): Promise<void> {
    try {
      await meter.admit(this.offset + length)
    } catch (error) {
      // Nothing a client could go on with, and it must not fill the disk.
      await this.discard().catch(() => {})
      throw error
    }
  }

  async #take (chunks: readonly Buffer[], start: number, length: number | undefined): Promise<void> {
    const { writer } = this.#parts
    if (this.#meter !== undefined) await this.#expect(this.#meter, chunks.reduce((total, { length }) => total + length, 0))
    // The disk writes while this thread hashes. A failed write leaves the hash ahead of the file; #intactDigests sees it.
    const written = writer.write(chunks)
    this.#running?.update(chunks)
    await written
    if (length !== undefined && writer.size - start > length) throw new OciError('SIZE_INVALID')
  }

  async #rollBack (size: number): Promise<void> {
    await this.#parts.writer.truncate(size)
    this.#running = size === 0 ? new RunningDigests(this.#running?.algorithms ?? []) : undefined
  }

  #intactDigests (): RunningDigests | undefined {
    return this.#running?.offset === this.offset ? this.#running : undefined
  }

  async #digestsFor (digest: Digest): Promise<DigestsAt> {
    const { driver } = this.#parts
    const kept = this.#intactDigests()?.current() ?? await readDigests(driver, this.#digestsPath)
    if (kept?.offset === this.offset && kept.digests.has(CANONICAL) && kept.digests.has(algorithmOf(digest))) return kept
    return await digestFile(driver, this.#dataPath, [algorithmOf(digest)])
  }
}
