import type { Readable } from 'node:stream'
import { orIfMissing } from '../errors/driver-error.js'
import { OciError } from '../errors/oci-error.js'
import { CANONICAL, algorithmOf } from '../reference/reference.js'
import type { Algorithm, Digest, RepositoryName } from '../reference/reference.js'
import { uploadDataPath, uploadDigestsPath, uploadPath, uploadStartedAtPath } from '../registry/layout.js'
import type { FileWriter, StorageDriver } from '../storage/driver.js'
import { RunningDigests, digestFile, readDigests, writeDigests } from './digests.js'
import type { DigestsAt } from './digests.js'
import type { LeaseProof, UploadLease } from './locks.js'
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
  /** Of the file whose bytes were verified, where the driver can tell. */
  readonly version: string | undefined
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
  /** Of the file, as this request found or left it. */
  #version: string | undefined
  #open = true
  #discarded = false
  /** Another server has the session by now. */
  #lost = false

  constructor (parts: UploadSessionParts) {
    this.id = parts.id
    this.#parts = parts
    this.#running = parts.running
    this.#version = parts.writer.version
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
        heard: () => { lease.touch() },
        sink: chunks => this.#take(chunks, start, length)
      })
      if (length !== undefined && writer.size - start !== length) throw new OciError('SIZE_INVALID')
    } catch (error) {
      if (lease.signal.aborted) {
        throw new OciError('RANGE_INVALID', { detail: 'another request took over this upload', cause: error })
      }
      if (!this.#discarded && !this.#lost && !(error instanceof ClientAborted)) {
        // What fails because of another server's writes is not to be cut back either.
        await this.#assure(proof => proof.renew())
        await this.#rollBack(start)
      }
      throw error
    }
  }

  /**
   * Makes what was appended durable and keeps its digests with the session. To be awaited before a 202.
   *
   * @throws {OciError} RANGE_INVALID when another server took the session over
   */
  async flush (): Promise<void> {
    if (!this.#open) return
    await this.#close()
    const running = this.#intactDigests()
    if (running !== undefined && running.offset > 0) {
      await writeDigests(this.#parts.driver, this.#digestsPath, running.current())
    }
    await this.#assure(proof => proof.end())
  }

  /**
   * Compares the session's bytes with a digest of any supported algorithm. The bytes are read again only if nobody
   * kept a digest of them, or `afresh`. A mismatch ends the session.
   *
   * @throws {OciError} DIGEST_INVALID, RANGE_INVALID when another server took the session over
   */
  async verify (digest: Digest, { afresh = false } = {}): Promise<VerifiedUpload> {
    if (this.#open) await this.#close({ moving: true })
    const { offset, version, digests } = afresh ? await this.#read(digest) : await this.#digestsFor(digest)
    // What follows publishes the bytes, or removes them.
    await this.#assure(proof => proof.renew())
    const canonical = digests.get(CANONICAL)
    if (canonical === undefined || digests.get(algorithmOf(digest)) !== digest) {
      // What cannot be removed now is for the purge; the client is to hear what is wrong with its bytes.
      await this.discard().catch(() => {})
      throw new OciError('DIGEST_INVALID', { detail: `content does not match digest ${digest}` })
    }
    return { canonical, size: offset, version, path: this.#dataPath, spare: uploadStartedAtPath(this.#parts.name, this.id) }
  }

  /** Ends the session and removes what is left of it. */
  async discard (): Promise<void> {
    this.#discarded = true
    if (this.#open) {
      this.#open = false
      await orIfMissing(this.#parts.writer.cancel(), undefined)
    }
    const { driver, name } = this.#parts
    const path = uploadPath(name, this.id)
    // It may have left with its bytes.
    if (driver.statNow?.(path) !== null) await orIfMissing(driver.delete(path), undefined)
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    try {
      // After a success this does nothing. After a failure there is an error on its way already, and a second one
      // would only hide it: what cannot be flushed was not acknowledged.
      await this.flush().catch(() => {})
      const running = this.#intactDigests()
      if (running !== undefined && !this.#discarded && !this.#lost) this.#parts.keep(running)
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
    const { writer, lease } = this.#parts
    // One that stood still for long may have been taken for dead.
    if (lease.proof?.isFresh === false) await this.#assure(proof => proof.renew())
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

  async #close (options: { readonly moving?: boolean } = {}): Promise<void> {
    const { writer, lease } = this.#parts
    this.#open = false
    try {
      if (lease.proof?.isFresh !== true) await this.#assure(proof => proof.renew())
    } catch (error) {
      await (writer.abandon?.() ?? writer.close())
      throw error
    }
    try {
      await writer.close(options)
    } catch (error) {
      await this.#assure(proof => proof.renew())
      throw error
    }
    this.#version = writer.version
    const running = this.#intactDigests()
    if (running !== undefined) running.version = this.#version
  }

  /** Where the lease alone does not tell, the file does. */
  async #assure (ask: (proof: LeaseProof) => Promise<boolean>): Promise<void> {
    const { driver, lease: { proof } } = this.#parts
    if (proof === undefined) return
    try {
      if (await ask(proof)) return
      const { version } = await driver.stat(this.#dataPath)
      if (version !== this.#version) throw new OciError('RANGE_INVALID', { detail: 'another server wrote to this upload' })
    } catch (error) {
      this.#lost = true
      throw error
    }
  }

  #intactDigests (): RunningDigests | undefined {
    return this.#running?.offset === this.offset ? this.#running : undefined
  }

  async #digestsFor (digest: Digest): Promise<DigestsAt> {
    const { driver } = this.#parts
    const kept = this.#intactDigests()?.current() ?? await readDigests(driver, this.#digestsPath)
    const isOfThis = kept?.offset === this.offset && kept.version === this.#version
    if (isOfThis && kept.digests.has(CANONICAL) && kept.digests.has(algorithmOf(digest))) return kept
    return await this.#read(digest)
  }

  /** Reads the file, and sees to it that all that was read is of one version. */
  async #read (digest: Digest): Promise<DigestsAt> {
    const { driver } = this.#parts
    const path = this.#dataPath
    if (this.#version !== undefined) {
      // Reading alone may change what a file is made of.
      await driver.move(path, path)
      this.#version = (await driver.stat(path)).version
    }
    const read = await digestFile(driver, path, [algorithmOf(digest)])
    return { ...read, version: this.#version }
  }
}
