import type { Digest, RepositoryName } from '../reference/reference.js'

/** What a collection found and did. Sizes in bytes. */
export interface CollectionResult {
  readonly dryRun: boolean
  readonly repositories: number
  readonly manifests: { kept: number, withdrawn: number, restored: number, deleted: number }
  readonly blobs: { kept: number, quarantined: number, restored: number, deleted: number }
  readonly bytes: { kept: number, quarantined: number, deleted: number }
  /** Manifests that could not be understood; everything in their repositories was kept. */
  readonly doubts: number
  readonly seconds: number
}

export type Counts = { -readonly [K in keyof CollectionResult]: CollectionResult[K] }

export function noCounts (dryRun: boolean): Counts {
  return {
    dryRun,
    repositories: 0,
    manifests: { kept: 0, withdrawn: 0, restored: 0, deleted: 0 },
    blobs: { kept: 0, quarantined: 0, restored: 0, deleted: 0 },
    bytes: { kept: 0, quarantined: 0, deleted: 0 },
    doubts: 0,
    seconds: 0
  }
}

/** Somebody who wants to hear about single things while a collection goes on. */
export interface CollectionObserver {
  /** Nothing needs this manifest any more. */
  manifest? (name: RepositoryName, digest: Digest): void
  /** No manifest refers to this content any more. */
  blob? (digest: Digest, size: number): void
  /** Why something is kept. Called for every reason there is, so the text is made only when asked for. */
  kept? (digest: Digest, reason: () => string): void
  /** Why something goes. */
  gone? (digest: Digest, reason: string): void
  doubt? (name: RepositoryName, manifest: Digest, problem: string): void
  repository? (name: RepositoryName): void
  /** Part of the content was looked at. */
  shard? (done: number, total: number): void
}
