import type { BaseLogger } from 'pino'
import { isCanonical } from '../reference/reference.js'
import type { Digest } from '../reference/reference.js'
import type { Descriptor, Eventually } from '../registry/types.js'
import { alone } from '../workers/workers.js'
import type { Workers } from '../workers/workers.js'
import { keyOf } from './memory.js'
import type { DescriptorCache, Lease, Scope } from './types.js'

export type CacheLog = Pick<BaseLogger, 'warn' | 'info'>

/** What was asked of the cache, as docker's registry counts it: every request is a hit, a miss or an error. */
export interface CacheStats { readonly requests: number, readonly hits: number, readonly misses: number, readonly errors: number }

export interface DescriptorsParts {
  /** Without one everything is asked of storage. */
  readonly cache?: DescriptorCache | undefined
  readonly workers?: Workers
  readonly log?: CacheLog | undefined
  /** Whether an error is one that somebody else reports. */
  readonly isReported?: (error: unknown) => boolean
}

/** Asks storage. */
export type Load = (digest: Digest) => Eventually<Descriptor | undefined>

interface Flight { readonly lease: Lease, readonly found: Promise<Descriptor | undefined> }
interface Cleared { readonly digests: Digest[], readonly scope?: Scope }

const TOPIC = 'descriptors.clear'

/**
 * The descriptor cache as storage services use it: asked first, filled from storage, told of every change, left out
 * when it fails. One per process.
 *
 * Nothing dead is put back: whoever fills has taken a lease before it asked storage, and every delete, in any process,
 * ends the leases of what it deleted after the link is gone and before it is acknowledged. What was read before the
 * delete therefore has no lease any more when it arrives, and what is read after it finds nothing.
 */
export class Descriptors {
  readonly cache: DescriptorCache | undefined
  readonly #workers: Workers
  readonly #log: CacheLog | undefined
  readonly #isReported: (error: unknown) => boolean
  readonly #stats = { requests: 0, hits: 0, misses: 0, errors: 0 }
  /** Storage being asked, by entry. */
  readonly #flights = new Map<string, Flight>()
  /** What does not work at present, and was logged. */
  readonly #failing = new Set<string>()

  constructor ({ cache, workers = alone(), log, isReported = () => false }: DescriptorsParts = {}) {
    this.cache = cache
    this.#workers = workers
    this.#log = log
    this.#isReported = isReported
    workers.subscribe(TOPIC, async message => {
      const { digests, scope } = message as Cleared
      for (const digest of digests) await this.#clear(digest, scope)
    })
  }

  stats (): CacheStats {
    return { ...this.#stats }
  }

  /** The entries of one repository, or without a scope those of content. */
  of (scope?: Scope): ScopedDescriptors {
    return new ScopedDescriptors(this, scope)
  }

  stat (digest: Digest, load: Load, scope: Scope | undefined): Eventually<Descriptor | undefined> {
    if (this.cache === undefined) return load(digest)
    this.#stats.requests++
    const asked = this.cache.get(digest, scope)
    return asked instanceof Promise ? this.#later(asked, digest, load, scope) : this.#answer(asked, digest, load, scope)
  }

  /** Runs `write` and remembers what it made, unless it was deleted meanwhile. */
  async remember (digests: readonly Digest[], write: () => Promise<Descriptor>, scope: Scope | undefined): Promise<Descriptor> {
    if (this.cache === undefined) return await write()
    const leases = await Promise.all(digests.map(async digest => await this.#lease(digest, scope)))
    const descriptor = await write()
    for (const [i, lease] of leases.entries()) if (lease !== undefined) this.#fill(digests[i] as Digest, descriptor, lease, scope)
    return descriptor
  }

  /** Forgets what turned out to be wrong. Other processes find out by themselves. */
  async forget (digest: Digest, scope: Scope | undefined): Promise<void> {
    await this.#clear(digest, scope)
  }

  /** Forgets what was changed, in all processes: what the caller acknowledges after that is true everywhere. */
  async clear (digests: readonly Digest[], scope: Scope | undefined): Promise<void> {
    if (this.cache === undefined) return
    for (const digest of digests) await this.#clear(digest, scope)
    if (this.cache.isShared) return
    const message: Cleared = { digests: [...digests], ...(scope === undefined ? {} : { scope }) }
    await this.#workers.broadcast(TOPIC, message)
  }

  async #later (asked: Promise<Descriptor | undefined>, digest: Digest, load: Load, scope: Scope | undefined): Promise<Descriptor | undefined> {
    let found
    try {
      found = await asked
    } catch (error) {
      this.#failed('get', error)
      return await load(digest)
    }
    this.#worked('get')
    return await this.#answer(found, digest, load, scope)
  }

  #answer (found: Descriptor | undefined, digest: Digest, load: Load, scope: Scope | undefined): Eventually<Descriptor | undefined> {
    if (found === undefined) {
      this.#stats.misses++
      return this.#miss(digest, load, scope)
    }
    this.#stats.hits++
    return found.digest === digest || isCanonical(digest) ? found : this.stat(found.digest, load, scope)
  }

  /**
   * Asks storage, once for all who ask at the same time with the same lease. What the first one finds is true for the
   * others: nothing was deleted since. What it does not find may have been pushed since, so that is asked again.
   */
  async #miss (digest: Digest, load: Load, scope: Scope | undefined): Promise<Descriptor | undefined> {
    const lease = await this.#lease(digest, scope)
    if (lease === undefined) return await load(digest)
    const key = keyOf(digest, scope)
    const running = this.#flights.get(key)
    if (running?.lease === lease) return await running.found ?? await load(digest)
    const flight = { lease, found: this.#load(digest, load, lease, scope) }
    this.#flights.set(key, flight)
    try {
      return await flight.found
    } finally {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
  }

  async #load (digest: Digest, load: Load, lease: Lease, scope: Scope | undefined): Promise<Descriptor | undefined> {
    const found = await load(digest)
    if (found !== undefined) this.#fill(digest, found, lease, scope)
    else this.#attempt('release', () => this.cache?.release(digest, scope))
    return found
  }

  async #lease (digest: Digest, scope: Scope | undefined): Promise<Lease | undefined> {
    try {
      const lease = await this.cache?.lease(digest, scope)
      this.#worked('lease')
      return lease
    } catch (error) {
      this.#failed('lease', error)
      return undefined
    }
  }

  /** Nobody waits for an entry to be there. */
  #fill (digest: Digest, descriptor: Descriptor, lease: Lease, scope: Scope | undefined): void {
    this.#attempt('fill', () => this.cache?.fill(digest, descriptor, lease, scope))
  }

  async #clear (digest: Digest, scope: Scope | undefined): Promise<void> {
    try {
      await this.cache?.clear(digest, scope)
      this.#worked('clear')
    } catch (error) {
      this.#failed('clear', error)
    }
  }

  #attempt (what: string, operation: () => Eventually<void>): void {
    const done = operation()
    if (done instanceof Promise) done.then(() => { this.#worked(what) }, (error: unknown) => { this.#failed(what, error) })
  }

  #worked (what: string): void {
    if (this.#failing.delete(what)) this.#log?.info(`the descriptor cache works again: ${what}`)
  }

  #failed (what: string, error: unknown): void {
    this.#stats.errors++
    if (this.#isReported(error) || this.#failing.has(what)) return
    this.#failing.add(what)
    this.#log?.warn({ err: error }, `the descriptor cache fails, going on without it: ${what}`)
  }
}

/** The descriptors of one scope. */
export class ScopedDescriptors {
  readonly #all: Descriptors
  readonly #scope: Scope | undefined

  constructor (all: Descriptors, scope: Scope | undefined) {
    this.#all = all
    this.#scope = scope
  }

  /** From the cache, or else from storage by `load`. */
  stat (digest: Digest, load: Load): Eventually<Descriptor | undefined> {
    return this.#all.stat(digest, load, this.#scope)
  }

  /** Runs `write`, which makes the content visible, and remembers it under every digest given. */
  async remember (digests: readonly Digest[], write: () => Promise<Descriptor>): Promise<Descriptor> {
    return await this.#all.remember(digests, write, this.#scope)
  }

  /** What storage does not have is forgotten, and with it that the content is anywhere. */
  async forget (digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      await this.#all.forget(digest, this.#scope)
      if (this.#scope !== undefined) await this.#all.forget(digest, undefined)
    }
  }

  /** Resolves when no process shows it any more. */
  async clear (digests: readonly Digest[]): Promise<void> {
    await this.#all.clear(digests, this.#scope)
  }
}
