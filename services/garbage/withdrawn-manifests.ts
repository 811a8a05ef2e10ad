import { createHash } from 'node:crypto'
import { orIfMissing, readSmall } from '../errors/driver-error.js'
import { digestOf, hexOf, isDigest } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import { linkPath } from '../registry/layout.js'
import type { StorageDriver } from '../storage/driver.js'
import { Quarantine } from './quarantine.js'

const MAX_RECORD_BYTES = 16 * 1024 * 1024

/** A manifest that was taken out of its repository, and what lies beside its link and goes or stays with it. */
export interface Withdrawn {
  readonly repository: RepositoryName
  readonly digest: Digest
  /** Contents by path: aliases, history of tags, entry in the referrers list, media type. They stay in place meanwhile. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * Manifests that a collection took out of their repositories and may still put back. The record is written before the
 * link is removed, and removed after the link is back.
 */
export class WithdrawnManifests {
  readonly #driver: StorageDriver
  readonly #quarantine: Quarantine

  constructor (driver: StorageDriver, quarantine = new Quarantine(driver)) {
    this.#driver = driver
    this.#quarantine = quarantine
  }

  async withdraw (run: string, withdrawn: Withdrawn): Promise<void> {
    const { repository, digest } = withdrawn
    await this.#driver.write(this.#path(run, repository, digest), Buffer.from(JSON.stringify(withdrawn)))
    await orIfMissing(this.#driver.delete(linkOf(withdrawn)), undefined)
  }

  async has (repository: RepositoryName, digest: Digest): Promise<boolean> {
    for (const run of await this.#quarantine.runs()) {
      if (await this.#exists(this.#path(run, repository, digest))) return true
    }
    return false
  }

  /** Makes the manifest part of its repository again. False when it was not withdrawn, or is gone for good. */
  async restore (repository: RepositoryName, digest: Digest): Promise<boolean> {
    for (const run of await this.#quarantine.runs()) {
      const record = await this.#read(run, repository, digest)
      if (record !== undefined && await this.putBack(run, record)) return true
    }
    return false
  }

  /** @see restore, for the record of one run. */
  async putBack (run: string, record: Withdrawn): Promise<boolean> {
    for (const [file, content] of Object.entries(record.files)) {
      if (!await this.#exists(file)) await this.#driver.write(file, Buffer.from(content, 'latin1'))
    }
    await this.#driver.write(linkOf(record), Buffer.from(record.digest, 'latin1'))
    // False when somebody else was faster.
    return await this.#removeRecord(run, record.repository, record.digest)
  }

  /** Forgets a manifest that a client deleted. */
  async forget (repository: RepositoryName, digest: Digest): Promise<void> {
    for (const run of await this.#quarantine.runs()) {
      await this.#removeRecord(run, repository, digest)
    }
  }

  /**
   * Removes what is left of the manifest in its repository, for good. A push that brings it back at the same moment
   * writes all of it before its link; so if there is a link after a file was removed, the file is put back.
   */
  async remove (run: string, record: Withdrawn): Promise<void> {
    const isBack = async (): Promise<boolean> => await this.#exists(linkOf(record))
    for (const [file, content] of Object.entries(record.files)) {
      if (await isBack()) break
      await orIfMissing(this.#driver.delete(file), undefined)
      if (await isBack()) await this.#driver.write(file, Buffer.from(content, 'latin1'))
      else await this.#pruneUpwards(file)
    }
    await this.#removeRecord(run, record.repository, record.digest)
    await this.#pruneUpwards(linkOf(record))
  }

  /** What a run has withdrawn. A record that a crash left unreadable is passed over: its manifest is still linked. */
  async * records (run: string): AsyncGenerator<Withdrawn> {
    const root = `${this.#quarantine.runPath(run)}/manifests`
    for (const hex of await orIfMissing(this.#driver.list(root), [])) {
      for (const repository of await orIfMissing(this.#driver.list(`${root}/${hex}`), [])) {
        const record = parseRecord(await readSmall(this.#driver.read(`${root}/${hex}/${repository}`, { maxBytes: MAX_RECORD_BYTES })))
        if (record !== undefined) yield record
      }
    }
  }

  async #read (run: string, repository: RepositoryName, digest: Digest): Promise<Withdrawn | undefined> {
    return parseRecord(await readSmall(this.#driver.read(this.#path(run, repository, digest), { maxBytes: MAX_RECORD_BYTES })))
  }

  async #removeRecord (run: string, repository: RepositoryName, digest: Digest): Promise<boolean> {
    const path = this.#path(run, repository, digest)
    const removed = await orIfMissing(this.#driver.delete(path).then(() => true), false)
    if (removed) await this.#quarantine.prune(parentOf(path))
    return removed
  }

  async #exists (path: string): Promise<boolean> {
    return await orIfMissing(this.#driver.stat(path).then(() => true), false)
  }

  async #pruneUpwards (path: string): Promise<void> {
    for (let parent = parentOf(path); /\/_manifests\//.test(parent) && await this.#quarantine.prune(parent);) parent = parentOf(parent)
  }

  /** A repository's name has slashes and may be too long for a file's. */
  #path (run: string, repository: RepositoryName, digest: Digest): string {
    return `${this.#quarantine.runPath(run)}/manifests/${hexOf(digest)}/${createHash('sha256').update(repository).digest('hex')}`
  }
}

function linkOf ({ repository, digest }: Withdrawn): string {
  return linkPath(repository, '_manifests/revisions', digest)
}

function parentOf (path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function parseRecord (bytes: Buffer | undefined): Withdrawn | undefined {
  if (bytes === undefined) return undefined
  try {
    const record = JSON.parse(bytes.toString()) as Withdrawn
    return isDigest(digestOf('sha256', hexOf(record.digest))) && typeof record.repository === 'string' ? record : undefined
  } catch {
    return undefined
  }
}
