import { isCanonical } from '../reference/reference.js'
import type { Digest, RepositoryName } from '../reference/reference.js'
import { DigestSet } from './digest-set.js'
import type { ManifestReader } from './manifest-reader.js'
import type { RepositoryView } from './repository-view.js'

export interface MarkParts {
  readonly reader: ManifestReader
  /** Hears why content is kept. */
  readonly because: (digest: Digest, reason: () => string) => void
  /** Hears of a manifest that cannot be understood, and that everything in its repository is kept for that. */
  readonly doubt: (name: RepositoryName, manifest: Digest, problem: string) => void
}

/**
 * The content that manifests keep alive, of all repositories together. Marks can only be added: what a manifest refers
 * to never changes, so a second look at a repository need read only what is new in it.
 */
export class Mark {
  readonly #parts: MarkParts
  readonly #content = new DigestSet()
  /** Manifests whose references are all marked. Not the same as being marked: a manifest may list another as a layer. */
  readonly #followed = new DigestSet()

  constructor (parts: MarkParts) {
    this.#parts = parts
  }

  has (digest: Digest): boolean {
    return this.#content.has(digest)
  }

  /** Marks a manifest with all that it needs. False when it, or one that it lists, cannot be understood. */
  async manifest (view: RepositoryView, digest: Digest, linked: Pick<ReadonlyMap<Digest, unknown>, 'has'>): Promise<boolean> {
    const seen = new Set([digest])
    const open = [digest]
    let isCertain = true
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      this.#add(next, () => `${view.name}: manifest`)
      if (this.#followed.has(next)) continue
      const { children, problem } = await this.#references(view, next, linked)
      if (problem !== undefined && (next === digest || linked.has(next))) {
        isCertain = false
        this.#parts.doubt(view.name, next, problem)
      }
      for (const child of children.filter(found => !seen.has(found))) {
        seen.add(child)
        open.push(child)
      }
    }
    return isCertain
  }

  /** Marks everything that is linked as a blob: some of it may be needed by something that cannot be understood. */
  async layers (view: RepositoryView): Promise<void> {
    for await (const digest of view.layers()) this.#add(digest, () => `${view.name}: linked, beside a manifest that cannot be understood`)
  }

  /** Marks what one manifest refers to, and returns the manifests among that. */
  async #references (view: RepositoryView, digest: Digest, linked: Pick<ReadonlyMap<Digest, unknown>, 'has'>): Promise<{ children: Digest[], problem?: string | undefined }> {
    const found = await this.#parts.reader.references(digest)
    if (found === undefined) return { children: [] }
    const children: Digest[] = []
    let isResolved = true
    const resolve = async (named: Digest): Promise<Digest> => {
      const canonical = await view.canonical(named)
      if (!isCanonical(canonical)) isResolved = false
      this.#add(canonical, () => `${view.name}: manifest ${digest} refers to it`)
      return canonical
    }
    for (const named of new Set(found.blobs)) await resolve(named)
    for (const named of new Set(found.children)) {
      const child = await resolve(named)
      // An entry may be a blob, R-168. A child that was deleted here keeps what it needs while an index lists it.
      if (linked.has(child) || !await view.hasLayer(child)) children.push(child)
    }
    if (found.isComplete && isResolved) this.#followed.add(digest)
    return { children, problem: found.problem }
  }

  #add (digest: Digest, reason: () => string): void {
    this.#content.add(digest)
    this.#parts.because(digest, reason)
  }
}
