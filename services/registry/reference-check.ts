import { OciError, OciErrors } from '../errors/oci-error.js'
import type { Digest } from '../reference/reference.js'
import { concurrently } from './concurrently.js'
import type { LayerUrls } from './layer-urls.js'
import type { ManifestChild, ManifestContent } from './manifest-content.js'
import type { BlobStatter } from './types.js'

/** `validation` of the configuration: what of a manifest's references must be in the repository. */
export interface ReferenceValidation {
  /** Nothing is checked. */
  readonly disabled: boolean
  /** Children of an index: all, none, or those for the platforms of the list. */
  readonly platforms: 'all' | 'none' | 'list'
  /** Where layers may say that they can be found; anywhere unless given. */
  readonly urls?: LayerUrls | undefined
  readonly platformlist: ReadonlyArray<{ readonly architecture: string, readonly os: string }>
}

export const STRICT: ReferenceValidation = { disabled: false, platforms: 'all', platformlist: [] }

export interface ReferenceCheckParts {
  readonly validation: ReferenceValidation
  readonly layers: BlobStatter
  readonly revisions: BlobStatter
}

/** Checks that what a manifest refers to is in its repository. */
export class ReferenceCheck {
  readonly #parts: ReferenceCheckParts

  constructor (parts: ReferenceCheckParts) {
    this.#parts = parts
  }

  /**
   * Returns what is odd but accepted.
   *
   * @throws {OciError} MANIFEST_INVALID for a layer with a URL that is not allowed
   * @throws {OciErrors} one MANIFEST_BLOB_UNKNOWN for every missing reference, not only the first
   */
  async check ({ blobs, children, layers, declaresMediaType }: ManifestContent): Promise<string[]> {
    const { validation } = this.#parts
    const external = layers.filter(({ isExternal }) => isExternal).length
    const warnings = external > 0 ? [`${external} non-distributable layers are not kept here`] : []
    if (!declaresMediaType) warnings.push('the manifest does not state its mediaType')
    if (validation.disabled) return warnings
    validation.urls?.check(layers)
    const references = [
      ...blobs.map(({ digest, size }) => ({ digest, size, stat: this.#blob })),
      ...children.filter(child => this.#isRequired(child)).map(({ digest, size }) => ({ digest, size, stat: this.#child }))
    ]
    const unique = [...new Map(references.map(reference => [reference.digest, reference])).values()]
    const found = await concurrently(unique, async ({ digest, stat }) => await stat(digest))
    const [first, ...rest] = unique
      .filter((_, i) => found[i] === undefined)
      .map(({ digest }) => new OciError('MANIFEST_BLOB_UNKNOWN', { detail: digest }))
    if (first !== undefined) throw new OciErrors([first, ...rest])
    const wrong = unique.find(({ size }, i) => found[i] !== size)
    if (wrong !== undefined) warnings.push(`the size given for ${wrong.digest} is not that of the content`)
    return warnings
  }

  /** Size of a blob of the repository, if it is there. */
  readonly #blob = async (digest: Digest): Promise<number | undefined> => (await this.#parts.layers.stat(digest))?.size

  /** build caches list layers in an index, so an entry may be a blob as well as a manifest. */
  readonly #child = async (digest: Digest): Promise<number | undefined> => {
    return (await this.#parts.revisions.stat(digest))?.size ?? await this.#blob(digest)
  }

  #isRequired ({ platform }: ManifestChild): boolean {
    const { platforms, platformlist } = this.#parts.validation
    if (platforms === 'all') return true
    if (platforms === 'none') return false
    return platformlist.some(({ architecture, os }) => platform?.architecture === architecture && platform.os === os)
  }
}
