import type { Digest, RepositoryName, Tag } from '../reference/reference.js'

/**
 * - `corrupt`: bytes are not what they should be, or cannot be read.
 * - `missing`: something is not there that a manifest or a tag needs.
 * - `orphaned`: something is left over that nothing needs. No harm, only space.
 * - `odd`: unusual, and served all the same.
 */
export type Severity = 'corrupt' | 'missing' | 'orphaned' | 'odd'

/** Where something was found. */
export interface Place {
  readonly repository?: RepositoryName
  readonly digest?: Digest
  readonly tag?: Tag
  /** In storage: a link, the data of a blob, the directory of a tag. */
  readonly path: string
}

export interface Finding extends Place {
  readonly severity: Severity
  /** What is wrong, in a few words. */
  readonly what: string
  /** What the manifest at this place refers to. */
  readonly needs?: Digest
  /** What was done about it. */
  readonly repaired?: 'set aside' | 'written again'
}

/** What would mend it. */
export type Fix =
  /**
   * Taken out of its place. `file` is the one that was judged, where the path is that of a directory; `isNeeded` looks
   * once more, after the move, whether it is right after all.
   */
  | { readonly kind: 'aside', readonly path: string, readonly file?: string, readonly isNeeded?: () => Promise<boolean> }
  /** A link that says again what its name says. */
  | { readonly kind: 'link', readonly path: string, readonly digest: Digest }

/** What one look found. */
export interface Problem {
  readonly severity: Severity
  readonly what: string
  readonly needs?: Digest
  readonly fix?: Fix
}
