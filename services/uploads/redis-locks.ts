import type { BaseLogger } from 'pino'
import { OciError } from '../errors/oci-error.js'
import { systemClock } from '../maintenance/clock.js'
import type { Clock } from '../maintenance/clock.js'
import { RedisUnavailable } from '../redis/connection.js'
import type { RedisConnection } from '../redis/connection.js'
import type { Want } from '../workers/messages.js'
import { IDLE_MS, forever } from './locks.js'
import type { UploadLease, UploadLocks } from './locks.js'
import { LEASE_MS, RENEW_MS, RedisUploadLease, WANT_MS, lockKeys } from './redis-lease.js'
import type { RedisLeaseParts } from './redis-lease.js'

export interface RedisUploadLocksParts {
  readonly redis: RedisConnection
  /** Of this server: whoever has a session here, has it alone among the requests of this server. */
  readonly inner: UploadLocks
  readonly log?: Pick<BaseLogger, 'warn'> | undefined
  readonly clock?: Clock
}

/** How often a request asks for a session that another server has. */
const POLL_MS = 100
/** Until a holder on another server has heard that somebody asks, and has been silent for long enough. */
const SETTLE_MS = 2 * IDLE_MS + RENEW_MS

/** Whoever asks is remembered for a while. Says whether anybody has the session. */
const ASK = `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SET', KEYS[2], 'wait', 'PX', ARGV[1], 'NX') return 1`

/** What happened to the locks since the process started. */
export interface UploadLockStats {
  /** Sessions held now. */
  readonly held: number
  /** Requests that waited for another server. */
  readonly waited: number
  /** Requests that went on without Redis. */
  readonly unlocked: number
}

/**
 * The locks of several servers on one storage, which have a Redis in common. Each has its own locks beneath, so Redis is
 * asked a few times for each request, however long it is, and not by those that wait for each other here. The rules are
 * those of one process: a holder that receives keeps the session, one that is silent while somebody waits is told to let
 * go. One that died loses it within seconds.
 *
 * Redis may be away: then each server goes on with its own locks, as it does without Redis, and what is published is
 * verified against what storage holds in the end.
 */
export class RedisUploadLocks implements UploadLocks {
  readonly #redis: RedisConnection
  readonly #inner: UploadLocks
  readonly #clock: Clock
  readonly #log: RedisUploadLocksParts['log']
  readonly #leases: RedisLeaseParts
  readonly #held = new Set<string>()
  /** Sessions whose holder here is being told that somebody waits. */
  readonly #asked = new Set<string>()
  readonly #stats = { waited: 0, unlocked: 0 }
  #isFailing = false

  constructor ({ redis, inner, log, clock = systemClock }: RedisUploadLocksParts) {
    this.#redis = redis
    this.#inner = inner
    this.#log = log
    this.#clock = clock
    this.#leases = {
      redis,
      clock,
      failed: error => { this.#failed(error) },
      wanted: (id, how) => { this.#handOver(id, how).catch((error: unknown) => { this.#failed(error) }) },
      released: id => { this.#held.delete(id) }
    }
  }

  stats (): UploadLockStats {
    return { held: this.#held.size, ...this.#stats }
  }

  /** Redis need not know of it before somebody else does. */
  fresh (id: string): UploadLease {
    return this.#inner.fresh(id)
  }

  async acquire (id: string, signal: AbortSignal): Promise<UploadLease> {
    return await this.#take(id, 'wait', await this.#inner.acquire(id, signal), signal)
  }

  async tryAcquire (id: string): Promise<UploadLease | undefined> {
    const inner = await this.#inner.tryAcquire(id)
    if (inner === undefined) return undefined
    const lease = new RedisUploadLease(id, inner, this.#leases)
    const taken = await this.#attempt(lease, '')
    if (taken !== false) return this.#granted(id, lease, taken)
    lease.release()
    return undefined
  }

  async seize (id: string, signal: AbortSignal): Promise<UploadLease> {
    return await this.#take(id, 'seize', await this.#inner.seize(id, signal), signal)
  }

  async settled (id: string, signal: AbortSignal): Promise<boolean> {
    const until = this.#clock.now() + SETTLE_MS
    while (!this.#held.has(id) && await this.#isElsewhere(id)) {
      if (this.#clock.now() >= until) return false
      await this.#clock.sleep(POLL_MS, { signal })
    }
    return await this.#inner.settled(id, signal)
  }

  async #take (id: string, how: Want, inner: UploadLease, signal: AbortSignal): Promise<UploadLease> {
    const lease = new RedisUploadLease(id, inner, this.#leases)
    try {
      return this.#granted(id, lease, await this.#wait(lease, how, [signal, inner.signal]))
    } catch (error) {
      lease.release()
      if (inner.signal.aborted && !signal.aborted) throw new OciError('RANGE_INVALID', { detail: 'another request took over this upload', cause: error })
      throw error
    }
  }

  /** Undefined when it has to go on without Redis. */
  async #wait (lease: RedisUploadLease, how: Want, signals: readonly AbortSignal[]): Promise<true | undefined> {
    let heldAt = -Infinity
    let signal: AbortSignal | undefined
    for (;;) {
      for (const each of signals) each.throwIfAborted()
      const taken = await this.#attempt(lease, how)
      if (taken === true) return taken
      const now = this.#clock.now()
      if (taken === false && heldAt === -Infinity) this.#stats.waited++
      if (taken === false) heldAt = now
      // A holder that was there when Redis went away may be writing for as long as its lease lives.
      else if (now - heldAt >= LEASE_MS) return undefined
      // Whoever waits is alive, also if others wait behind it.
      lease.touch()
      // Only whoever has to wait needs one: a connection's own signal would keep what is derived from it.
      signal ??= AbortSignal.any([...signals])
      await this.#clock.sleep(POLL_MS, { signal })
    }
  }

  /** Undefined when Redis does not say. */
  async #attempt (lease: RedisUploadLease, how: Want | ''): Promise<boolean | undefined> {
    try {
      const taken = await lease.take(how)
      this.#isFailing = false
      return taken
    } catch (error) {
      this.#failed(error)
      return undefined
    }
  }

  #granted (id: string, lease: RedisUploadLease, taken: true | undefined): UploadLease {
    if (taken === undefined) {
      this.#stats.unlocked++
      lease.doubt()
    }
    this.#held.add(id)
    lease.keep()
    return lease
  }

  /** Without Redis nobody else can be asked. */
  async #isElsewhere (id: string): Promise<boolean> {
    try {
      const keys = lockKeys(id)
      return await this.#redis.run(async client => Number(await client.call('EVAL', ASK, keys.length, ...keys, WANT_MS))) === 1
    } catch (error) {
      this.#failed(error)
      return false
    }
  }

  /** Does for a request on another server what would be done for one that waits here. */
  async #handOver (id: string, how: Want): Promise<void> {
    const key = `${how} ${id}`
    if (this.#asked.has(key)) return
    this.#asked.add(key)
    try {
      if (how === 'wait') await this.#inner.settled(id, forever())
      else (await this.#inner.seize(id, forever())).release()
    } finally {
      this.#asked.delete(key)
    }
  }

  /** What its connection has logged is not logged again. */
  #failed (error: unknown): void {
    if (error instanceof RedisUnavailable || this.#isFailing) return
    this.#isFailing = true
    this.#log?.warn(`redis refuses to lock uploads, going on without it: ${error instanceof Error ? error.message : String(error)}`)
  }
}
