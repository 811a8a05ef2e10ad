import { randomUUID } from 'node:crypto'
import { formatBytes } from '../config/bytes.js'
import { orIfMissing } from '../errors/driver-error.js'
import { ManifestReader } from '../garbage/manifest-reader.js'
import { Quarantine } from '../garbage/quarantine.js'
import { systemClock } from '../maintenance/clock.js'
import type { Clock } from '../maintenance/clock.js'
import type { Progress } from '../maintenance/progress.js'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import { walkRepositories } from '../registry/walk.js'
import type { StorageDriver } from '../storage/driver.js'
import { Pace } from '../verify/pace.js'
import { ContentCopy, STAGING } from './content-copy.js'
import { RepositoryCopy } from './repository-copy.js'

/** Of the lease on the target under which it is filled. */
export const COPY = 'copy'
/** Between two looks at how far a long blob is. */
const NOTE_BYTES = 4 * 1024 * 1024

/** How many were copied, and how many were there and equal. */
export interface Copied { copied: number, present: number }

export interface CopyFailure {
  readonly repository: RepositoryName
  /** The tag or digest that was not copied. */
  readonly reference: Tag | Digest
  readonly problem: string
}

export interface CopyResult {
  readonly repositories: number
  readonly blobs: Readonly<Copied>
  readonly links: Readonly<Copied>
  /** Links with nothing behind them, as a garbage collection leaves them: not copied. */
  readonly dangling: number
  readonly tags: Readonly<Copied>
  /** That were read of blobs and manifests in the source. */
  readonly bytes: number
  readonly failures: number
  readonly seconds: number
}

export interface CopyOptions {
  readonly from: StorageDriver
  readonly to: StorageDriver
  /** All repositories unless some are named. */
  readonly repositories?: readonly RepositoryName[] | undefined
  /** Bytes a second, read from the source. */
  readonly rate?: number
  readonly clock?: Clock
  readonly progress: Progress
  readonly onFailure: (failure: CopyFailure) => void
  /** Ends it with the signal's reason. */
  readonly signal: AbortSignal
}

/**
 * Copies all repositories to another storage, whatever the two are, so that a registry on it serves the same: blobs and
 * manifests, verified by their digests, links, referrers and tags. What is there and equal is left alone; nothing is
 * ever deleted. Uploads, and content that no repository links to, are not copied. Memory holds the names of one
 * directory at a time, and the tags of one repository.
 */
export async function copyRegistry ({ from, to, repositories, rate = Infinity, clock = systemClock, progress, onFailure, signal }: CopyOptions): Promise<CopyResult> {
  const started = performance.now()
  const result = { repositories: 0, blobs: none(), links: none(), dangling: 0, tags: none(), bytes: 0, failures: 0 }
  let noted = 0
  const note = (name?: RepositoryName): void => { progress.advance(name === undefined ? 0 : 1, `${formatBytes(result.bytes)} copied`) }
  const content = new ContentCopy({
    from,
    to,
    pace: new Pace(rate, { signal, clock }),
    run: randomUUID(),
    onRead: bytes => {
      result.bytes += bytes
      if (result.bytes - noted < NOTE_BYTES) return
      noted = result.bytes
      note()
    },
    onContent: isCopied => { count(result.blobs, isCopied) }
  })
  const observer = {
    link: (isCopied: boolean) => { count(result.links, isCopied) },
    dangling: () => { result.dangling++ },
    tag: (isCopied: boolean) => { count(result.tags, isCopied) },
    failed: (repository: RepositoryName, reference: Tag | Digest, problem: string) => {
      result.failures++
      onFailure({ repository, reference, problem })
    }
  }
  const manifests = new ManifestReader(to, new Quarantine(to))
  const tidy = async (): Promise<void> => { await orIfMissing(to.delete(STAGING), undefined) }
  // Of a run that was killed.
  await tidy()
  try {
    progress.begin('repositories', repositories?.length ?? await countOf(walkRepositories(from, { signal })))
    for await (const name of repositories ?? walkRepositories(from, { signal })) {
      signal.throwIfAborted()
      await new RepositoryCopy({ from, to, name, content, manifests, observer, signal }).run()
      result.repositories++
      note(name)
    }
    // Directories, where there are some.
    if (result.blobs.copied > 0) await tidy()
  } finally {
    progress.end()
  }
  return { ...result, seconds: (performance.now() - started) / 1000 }
}

async function countOf (items: AsyncIterator<unknown>): Promise<number> {
  let total = 0
  while ((await items.next()).done !== true) total++
  return total
}

function none (): Copied {
  return { copied: 0, present: 0 }
}

function count (amount: Copied, isCopied: boolean): void {
  amount[isCopied ? 'copied' : 'present']++
}
