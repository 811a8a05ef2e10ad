import { randomBytes } from 'node:crypto'
import { orIfMissing } from '../errors/driver-error.js'
import { algorithmOf, hexOf } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import type { FileInfo, StorageDriver } from '../storage/driver.js'

/** Outside the tree of docker's registry, which never looks there. */
const QUARANTINE = '/oci-registry/quarantine'
/** Runs of a repair; the others are those of garbage collections. */
const OURS = 'verify-'

/**
 * Where a repair puts what it takes out of its place: below a directory of its own for every run, under the path it
 * had. Moving the tree back undoes the repair. Nothing here is ever removed.
 */
export class VerifyQuarantine {
  /** Made when something is put there. */
  readonly path: string
  readonly #driver: StorageDriver

  constructor (driver: StorageDriver, now: number) {
    this.#driver = driver
    this.path = `${QUARANTINE}/${OURS}${new Date(now).toISOString().replaceAll(':', '')}-${randomBytes(4).toString('hex')}`
  }

  /** Moves a path aside. @throws {DriverError} `path-not-found` when somebody else was faster */
  async put (path: string): Promise<void> {
    await this.#driver.move(path, this.path + path)
  }

  async stat (path: string): Promise<FileInfo | undefined> {
    return await orIfMissing(this.#driver.stat(this.path + path), undefined)
  }

  /** Puts a file back, unless there is a new one in its place. */
  async restore (file: string): Promise<void> {
    if (await orIfMissing(this.#driver.stat(file), undefined) !== undefined) return
    await orIfMissing(this.#driver.move(this.path + file, file), undefined)
  }
}

/** What a garbage collection has put aside is not lost: it puts back what turns out to be needed, or lets it go for good. */
export class SetAside {
  readonly #driver: StorageDriver

  constructor (driver: StorageDriver) {
    this.#driver = driver
  }

  async content (digest: Digest): Promise<FileInfo | undefined> {
    const hex = hexOf(digest)
    return await this.#find(`blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`)
  }

  async manifest (digest: Digest): Promise<FileInfo | undefined> {
    return await this.#find(`manifests/${hexOf(digest)}`)
  }

  async #find (path: string): Promise<FileInfo | undefined> {
    for (const run of await orIfMissing(this.#driver.list(QUARANTINE), [])) {
      if (run.startsWith(OURS)) continue
      const found = await orIfMissing(this.#driver.stat(`${QUARANTINE}/${run}/${path}`), undefined)
      if (found !== undefined) return found
    }
    return undefined
  }
}
