import { OciError, OciErrors } from '../errors/oci-error.js'
import type { Digest } from '../reference/reference.js'
import { concurrently } from './concurrently.js'
import type { LayerUrls } from './layer-urls.js'
import type { ManifestChild, ManifestContent } from './manifest-content.js'
import type { BlobStatter, Eventually } from './types.js'

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
  readonly layers: Pick<BlobStatter, 'verify'>
  readonly revisions: Pick<BlobStatter, 'verify'>
}

/** Checks that what a manifest refers to is in its repository: in storage, whatever is remembered, because the manifest is acknowledged for it. */
export class ReferenceCheck {
  readonly #parts: ReferenceCheckParts

  constructor (parts: ReferenceCheckParts) {
    this.#parts = parts
  }

  /**
   * Returns what is odd but accepted. With `all` also what need not be there is looked for, so that what a garbage
   * collection put aside is put back.
   *
   * @throws {OciError} MANIFEST_INVALID for a layer with a URL that is not allowed
   * @throws {OciErrors} one MANIFEST_BLOB_UNKNOWN for every missing reference, not only the first
   */
  async check (content: ManifestContent, { all = false } = {}): Promise<string[]> {
    const { layers, declaresMediaType } = content
    const external = layers.filter(({ isExternal }) => isExternal).length
    const warnings = external > 0 ? [`${external} non-distributable layers are not kept here`] : []
    if (!declaresMediaType) warnings.push('the manifest does not state its mediaType')
    if (!this.#parts.validation.disabled) this.#parts.validation.urls?.check(layers)
    const { missing, wrong: [wrong] } = await this.look(content, { all })
    const [first, ...rest] = missing.map(digest => new OciError('MANIFEST_BLOB_UNKNOWN', { detail: digest }))
    if (first !== undefined) throw new OciErrors([first, ...rest])
    if (wrong !== undefined) warnings.push(`the size given for ${wrong} is not that of the content`)
    return warnings
  }

  /**
   * What a manifest refers to that has to be here and is not, and what is here in another size than the manifest says.
   * With `all` everything that it refers to is looked for.
   */
  async look ({ blobs, children }: ManifestContent, { all = false } = {}): Promise<{ readonly missing: Digest[], readonly wrong: Digest[] }> {
    const { validation } = this.#parts
    if (validation.disabled && !all) return { missing: [], wrong: [] }
    const references = [
      ...blobs.map(({ digest, size }) => ({ digest, size, stat: this.#blob, isRequired: !validation.disabled })),
      ...children.map(child => ({ ...child, stat: this.#child, isRequired: !validation.disabled && this.#isRequired(child) }))
    ].filter(({ isRequired }) => all || isRequired).sort((a, b) => Number(a.isRequired) - Number(b.isRequired))
    // Of two entries with one digest the required one counts.
    const unique = [...new Map(references.map(reference => [reference.digest, reference])).values()]
    const found = await concurrently(unique, ({ digest, stat }) => stat(digest))
    return {
      missing: unique.filter(({ isRequired }, i) => isRequired && found[i] === undefined).map(({ digest }) => digest),
      wrong: unique.filter(({ size }, i) => found[i] !== undefined && found[i] !== size).map(({ digest }) => digest)
    }
  }

  /** Size of a blob of the repository, if it is there. */
  readonly #blob = (digest: Digest): Eventually<number | undefined> => {
    const found = this.#parts.layers.verify(digest)
    return found instanceof Promise ? found.then(descriptor => descriptor?.size) : found?.size
  }

  /** build caches list layers in an index, so an entry may be a blob as well as a manifest. */
  readonly #child = async (digest: Digest): Promise<number | undefined> => {
    return (await this.#parts.revisions.verify(digest))?.size ?? await this.#blob(digest)
  }

  #isRequired ({ platform }: ManifestChild): boolean {
    const { platforms, platformlist } = this.#parts.validation
    if (platforms === 'all') return true
    if (platforms === 'none') return false
    return platformlist.some(({ architecture, os }) => platform?.architecture === architecture && platform.os === os)
  }
}
