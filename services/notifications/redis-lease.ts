import type { Clock } from './delivery.js'
import type { RedisCommands } from './redis-queue.js'

export interface RedisLeaseOptions {
  readonly redis: RedisCommands
  readonly key: string
  /** Another one for each that may want the lease. */
  readonly holder: string
  readonly clock: Clock
}

/** How long a lease lives when its holder does not. */
const LEASE_MS = 10_000
/** How often whoever wants to keep it should say so. */
export const RENEW_MS = 3000
const RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end"
const RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"

/** At most one of several processes holds it, and it passes on when that one is gone. */
export class RedisLease {
  readonly #options: RedisLeaseOptions
  #heldUntil = 0

  constructor (options: RedisLeaseOptions) {
    this.#options = options
  }

  /** As far as this process knows. */
  get isHeld (): boolean {
    return this.#options.clock.now() < this.#heldUntil
  }

  /** Holds on, or tries to take it. `taken`: this process has it as of now. Throws when Redis does not answer. */
  async hold (): Promise<'held' | 'taken' | 'lost'> {
    const { redis, key, holder, clock } = this.#options
    const now = clock.now()
    const { isHeld } = this
    if (isHeld && now < this.#heldUntil - LEASE_MS + RENEW_MS / 2) return 'held'
    const renewed = isHeld && Number(await redis.call('EVAL', RENEW, 1, key, holder, LEASE_MS)) === 1
    const taken = !renewed && await redis.call('SET', key, holder, 'NX', 'PX', LEASE_MS) === 'OK'
    // Counted from before it was asked for: here it never lasts longer than there.
    this.#heldUntil = renewed || taken ? now + LEASE_MS : 0
    return renewed ? 'held' : taken ? 'taken' : 'lost'
  }

  /** Lets the next one have it at once. */
  async release (): Promise<void> {
    const { redis, key, holder } = this.#options
    this.#heldUntil = 0
    await redis.call('EVAL', RELEASE, 1, key, holder).catch(() => {})
  }
}
