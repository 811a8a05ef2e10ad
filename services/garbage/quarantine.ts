import { randomBytes } from 'node:crypto'
import { orIfMissing, readSmall } from '../errors/driver-error.js'
import { algorithmOf, digestOf, hexOf, isAlgorithm, isDigest } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import { blobDirectory, blobPath } from '../registry/layout.js'
import type { FileInfo, StorageDriver } from '../storage/driver.js'

/** Outside the tree of docker's registry, which never looks there. */
const QUARANTINE = '/oci-registry/garbage'
const RUN = /^\d{4}-[0-9TZ.-]+-[0-9a-f]{8}$/

/**
 * Content that a collection took out of its place and may still put back. Each run of a collection has a directory of
 * its own, so that one which believes to be the only one and is not can never remove what another one put aside.
 *
 *     <run>/closed                          when the run had moved everything it wanted to
 *     <run>/blobs/<algorithm>/<xx>/<hex>    content
 *     <run>/manifests/<hex>/<repository>    see `withdrawn-manifests.ts`
 */
export class Quarantine {
  readonly #driver: StorageDriver

  constructor (driver: StorageDriver) {
    this.#driver = driver
  }

  /** The name of a new run. Its directory exists as soon as something is in it. */
  newRun (now: number): string {
    return `${new Date(now).toISOString().replaceAll(':', '')}-${randomBytes(4).toString('hex')}`
  }

  /** All runs that have put something aside, oldest first. */
  async runs (): Promise<string[]> {
    return (await orIfMissing(this.#driver.list(QUARANTINE), [])).filter(name => RUN.test(name))
  }

  runPath (run: string): string {
    return `${QUARANTINE}/${run}`
  }

  /** Notes when the run had put everything aside: what is in it stays for the grace period from then on. */
  async close (run: string, now: number): Promise<void> {
    await this.#driver.write(`${this.runPath(run)}/closed`, Buffer.from(String(now), 'latin1'))
  }

  /** Undefined for a run that goes on, or was interrupted. */
  async closedAt (run: string): Promise<number | undefined> {
    const text = (await readSmall(this.#driver.read(`${this.runPath(run)}/closed`, { maxBytes: 64 })))?.toString('latin1')
    return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined
  }

  /** Moves content aside. False when it is not in its place. */
  async put (run: string, digest: Digest): Promise<boolean> {
    const moved = await orIfMissing(this.#driver.move(blobPath(digest), this.#path(run, digest)).then(() => true), false)
    if (moved) await this.prune(blobDirectory(digest))
    return moved
  }

  /**
   * Puts content back, whichever run has it. False when none has, which is also the answer when somebody else was
   * faster: then it is in its place.
   */
  async restore (digest: Digest): Promise<boolean> {
    for (const run of await this.runs()) {
      if (await orIfMissing(this.#driver.move(this.#path(run, digest), blobPath(digest)).then(() => true), false)) return true
    }
    return false
  }

  async stat (run: string, digest: Digest): Promise<FileInfo | undefined> {
    return await orIfMissing(this.#driver.stat(this.#path(run, digest)), undefined)
  }

  /** The content where it lies aside; undefined when no run has it. Also throws `too-large`. */
  async read (digest: Digest, maxBytes: number): Promise<Buffer | undefined> {
    for (const run of await this.runs()) {
      const bytes = await orIfMissing(this.#driver.read(this.#path(run, digest), { maxBytes }), undefined)
      if (bytes !== undefined) return bytes
    }
    return undefined
  }

  /** Removes content for good. False when it is not there any more. */
  async remove (run: string, digest: Digest): Promise<boolean> {
    return await orIfMissing(this.#driver.delete(this.#path(run, digest)).then(() => true), false)
  }

  /** What a run has put aside. */
  async * blobs (run: string): AsyncGenerator<Digest> {
    const root = `${this.runPath(run)}/blobs`
    for (const algorithm of (await orIfMissing(this.#driver.list(root), [])).filter(isAlgorithm)) {
      for (const prefix of await orIfMissing(this.#driver.list(`${root}/${algorithm}`), [])) {
        for (const hex of await orIfMissing(this.#driver.list(`${root}/${algorithm}/${prefix}`), [])) {
          const digest = digestOf(algorithm, hex)
          if (isDigest(digest)) yield digest
        }
      }
    }
  }

  /** Removes what is left of a run in which nothing is aside any more; never what somebody puts there all the same. */
  async removeRun (run: string): Promise<void> {
    const path = this.runPath(run)
    const withdrawn = await orIfMissing(this.#driver.list(`${path}/manifests`), [])
    for (const hex of withdrawn) if (!await this.prune(`${path}/manifests/${hex}`)) return
    await orIfMissing(this.#driver.delete(`${path}/closed`), undefined)
    for (const algorithm of await orIfMissing(this.#driver.list(`${path}/blobs`), [])) {
      for (const prefix of await orIfMissing(this.#driver.list(`${path}/blobs/${algorithm}`), [])) await this.prune(`${path}/blobs/${algorithm}/${prefix}`)
      await this.prune(`${path}/blobs/${algorithm}`)
    }
    for (const directory of [`${path}/blobs`, `${path}/manifests`, path]) await this.prune(directory)
  }

  /** Removes a directory if nothing is in it, where directories are more than parts of names. */
  async prune (path: string): Promise<boolean> {
    return await this.#driver.prune?.(path) ?? false
  }

  #path (run: string, digest: Digest): string {
    const hex = hexOf(digest)
    return `${this.runPath(run)}/blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`
  }
}
