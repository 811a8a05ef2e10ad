import { DriverError, orIfMissing } from '../errors/driver-error.js'
import type { Clock } from '../maintenance/clock.js'
import type { Log } from '../maintenance/log.js'
import { writeLink } from '../registry/linked-blob-store.js'
import type { Digest } from '../reference/reference.js'
import type { FileInfo, StorageDriver } from '../storage/driver.js'
import type { Finding, Fix, Place, Problem } from './finding.js'
import type { VerifyQuarantine } from './quarantine.js'

/** Between the two looks. Whatever takes several steps (a commit, a delete) is over by then. */
const SETTLE_MS = 1000
/** Cases that wait for their second look together; bounds memory, and the time that is waited. */
const MAX_PENDING = 1000

export interface JudgeOptions {
  readonly driver: StorageDriver
  /** Undefined when nothing is to be repaired. */
  readonly quarantine: VerifyQuarantine | undefined
  /** What was written after this is not judged: it may be half of something. */
  readonly before: Date
  readonly onFinding: (finding: Finding) => void
  /** Told of content that was set aside, for caches to forget. */
  readonly forget: ((digest: Digest) => Promise<void>) | undefined
  readonly onYoung: () => void
  readonly onFailure: () => void
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
}

interface Case { readonly place: Place, readonly look: () => Promise<Problem[]> }

/**
 * Decides whether what one look found is so, on a registry that may be serving: only what was not written lately, and
 * is found again by a second look, is reported; and what is moved aside must be what was looked at.
 */
export class Judge {
  readonly #options: JudgeOptions
  #pending: Case[] = []

  constructor (options: JudgeOptions) {
    this.#options = options
  }

  /** Looks, and keeps in mind what is to be looked at again. */
  async consider (place: Place, look: () => Promise<Problem[]>): Promise<void> {
    // A call to storage that fails once is not worth a word.
    const isFine = await look().then(problems => problems.length === 0, onlyStorage(false))
    if (isFine) return
    this.#pending.push({ place, look })
    if (this.#pending.length >= MAX_PENDING) await this.settle()
  }

  /** Decides everything that is pending. */
  async settle (): Promise<void> {
    const { clock, signal } = this.#options
    if (this.#pending.length === 0) return
    await clock.sleep(SETTLE_MS, { signal })
    for (const one of this.#pending.splice(0)) {
      signal?.throwIfAborted()
      await this.#decide(one)
    }
  }

  async #decide ({ place, look }: Case): Promise<void> {
    const { driver, before, onYoung, onFinding, forget } = this.#options
    try {
      const seen = await orIfMissing(driver.stat(place.path), undefined)
      if (seen === undefined) return
      if (seen.modified >= before) return onYoung()
      for (const { severity, what, needs, fix } of await look()) {
        const repaired = fix === undefined ? undefined : await this.#repair(fix, seen)
        if (repaired === 'set aside' && place.digest !== undefined) await forget?.(place.digest)
        onFinding({ ...place, severity, what, ...(needs === undefined ? {} : { needs }), ...(repaired === undefined ? {} : { repaired }) })
      }
    } catch (error) {
      if (!DriverError.is(error)) throw error
      this.#fail(error, `cannot look at ${place.path}`)
      onFinding({ ...place, severity: 'corrupt', what: `cannot be read: ${error.message}` })
    }
  }

  /** What was done; undefined when it was right after all, or nothing is to be repaired. */
  async #repair (fix: Fix, seen: FileInfo): Promise<Finding['repaired']> {
    const { driver, quarantine } = this.#options
    if (quarantine === undefined) return undefined
    try {
      if (fix.kind === 'aside') return await this.#setAside(fix, seen, quarantine) ? 'set aside' : undefined
      await writeLink(driver, fix.path, fix.digest)
      return 'written again'
    } catch (error) {
      if (!DriverError.is(error)) throw error
      this.#fail(error, `cannot repair ${fix.path}`)
      return undefined
    }
  }

  async #setAside ({ path, file = path, isNeeded }: Extract<Fix, { kind: 'aside' }>, seen: FileInfo, quarantine: VerifyQuarantine): Promise<boolean> {
    const { driver } = this.#options
    const judged = file === seen.path ? seen : await orIfMissing(driver.stat(file), undefined)
    const isGone = await orIfMissing(quarantine.put(path).then(() => false), true)
    if (isGone) return false
    // Somebody may have written between the look and the move, or what was missing may have come.
    const isOther = !isSame(await quarantine.stat(file), judged)
    if (!isOther && await isNeeded?.() !== true) return true
    await quarantine.restore(file)
    return false
  }

  #fail (error: DriverError, what: string): void {
    this.#options.onFailure()
    this.#options.log.error({ err: error }, what)
  }
}

function isSame (a: FileInfo | undefined, b: FileInfo | undefined): boolean {
  return a?.size === b?.size && a?.modified.getTime() === b?.modified.getTime()
}

/** Errors of storage become a value, others pass. */
function onlyStorage<T> (value: T): (error: unknown) => T {
  return error => {
    if (!DriverError.is(error)) throw error
    return value
  }
}
