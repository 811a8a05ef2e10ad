import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { DriverError, orIfMissing } from '../errors/driver-error.js'
import { digestOf, hexOf, isCanonical } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import { blobPath } from '../registry/layout.js'
import { MAX_MANIFEST_BYTES } from '../registry/manifest-contents.js'
import type { StorageDriver } from '../storage/driver.js'
import type { Quarantine } from './quarantine.js'
import { referencesOf } from './references.js'
import type { References } from './references.js'

const MAX_REMEMBERED = 100_000

/** What is known of a manifest whose bytes cannot be trusted, or not be read: nothing. */
const UNKNOWN: References = { blobs: [], children: [], subject: undefined, isComplete: false }

/** Reads manifests for a collection: past all caches, and wherever they lie. */
export class ManifestReader {
  readonly #driver: StorageDriver
  readonly #quarantine: Quarantine
  // A repository's manifests are looked at more than once in a row. The size is the number of references.
  readonly #recent = new LRUCache<Digest, References>({ maxSize: MAX_REMEMBERED, sizeCalculation: ({ blobs, children }) => 1 + blobs.length + children.length })

  constructor (driver: StorageDriver, quarantine: Quarantine) {
    this.#driver = driver
    this.#quarantine = quarantine
  }

  /**
   * Undefined when the content is not there. When it is damaged, too large for a manifest or cannot be read, the
   * references are not complete; `problem` says why.
   */
  async references (digest: Digest): Promise<References & { readonly problem?: string } | undefined> {
    const recent = this.#recent.get(digest)
    if (recent !== undefined) return recent
    try {
      const bytes = await this.#bytes(digest)
      if (bytes === undefined) return undefined
      if (isCanonical(digest) && createHash('sha256').update(bytes).digest('hex') !== hexOf(digest)) return { ...UNKNOWN, problem: 'is damaged' }
      const found = referencesOf(bytes)
      if (!found.isComplete) return { ...found, problem: 'is of no known kind' }
      this.#recent.set(digest, found)
      return found
    } catch (error) {
      if (!DriverError.is(error)) throw error
      return { ...UNKNOWN, problem: error.kind === 'too-large' ? 'is too large' : `cannot be read (${error.message})` }
    }
  }

  /** The sha512 of the content, for those addresses under which it may be linked besides. */
  async sha512 (digest: Digest): Promise<Digest | undefined> {
    const bytes = await this.#bytes(digest).catch(() => undefined)
    return bytes === undefined ? undefined : digestOf('sha512', createHash('sha512').update(bytes).digest('hex'))
  }

  async #bytes (digest: Digest): Promise<Buffer | undefined> {
    const inPlace = async (): Promise<Buffer | undefined> => await orIfMissing(this.#driver.read(blobPath(digest), { maxBytes: MAX_MANIFEST_BYTES }), undefined)
    // Looked for in its place again: it may have been put back between the two.
    return await inPlace() ?? await this.#quarantine.read(digest, MAX_MANIFEST_BYTES) ?? await inPlace()
  }
}
