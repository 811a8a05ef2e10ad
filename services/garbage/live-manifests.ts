import type { Digest } from '../reference/reference.js'
import { concurrently } from '../registry/concurrently.js'
import type { ManifestReader } from './manifest-reader.js'
import type { RepositoryView } from './repository-view.js'

export interface LivingQuestion {
  readonly view: RepositoryView
  readonly reader: ManifestReader
  /** Manifests that live by themselves. */
  readonly roots: Iterable<Digest>
  /** Manifests that live only for a root: because an index lists them, or their subject lives. */
  readonly candidates: ReadonlySet<Digest>
  readonly width: number
}

/**
 * Which of the candidates live, and why. An index keeps what it lists; a subject keeps its referrers, not the other way
 * round; and so on from those. A candidate that cannot be understood might be either, and lives.
 */
export async function livingCandidates ({ view, reader, roots, candidates, width }: LivingQuestion): Promise<Map<Digest, string>> {
  const living = new Map<Digest, string>()
  if (candidates.size === 0) return living
  const open: Digest[] = [...roots]
  const keep = (digest: Digest, because: string): void => {
    if (!candidates.has(digest) || living.has(digest)) return
    living.set(digest, because)
    open.push(digest)
  }
  const referrers = new Map<Digest, Digest[]>()
  await concurrently([...candidates], async digest => {
    const found = await reader.references(digest)
    if (found?.isComplete === false) keep(digest, `it ${found.problem ?? 'cannot be understood'}, so it may be needed`)
    if (found?.subject === undefined) return
    const subject = await view.canonical(found.subject)
    referrers.set(subject, [...referrers.get(subject) ?? [], digest])
  }, width)
  while (open.length > 0) {
    const some = open.splice(0, width)
    await concurrently(some, async digest => {
      for (const referrer of referrers.get(digest) ?? []) keep(referrer, `it refers to ${digest}`)
      for (const child of (await reader.references(digest))?.children ?? []) keep(await view.canonical(child), `the index ${digest} lists it`)
    }, width)
  }
  return living
}
