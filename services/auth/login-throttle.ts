import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { networkOf } from '../http/client-address.js'

/** Who tries to log in, from where. */
export interface LoginAttempt {
  readonly user: string
  readonly address: string
}

/** When an attempt may be looked at: after `wait` milliseconds, or not, and not before `retryAfter` milliseconds. */
export type Admission = { readonly wait: number } | { readonly retryAfter: number }

export interface ThrottleOptions {
  /** Wrong passwords of one user from one address that cost nothing. */
  readonly free: number
  /** After those: milliseconds until the next attempt, doubled with every one. */
  readonly delay: number
  readonly maxDelay: number
  /** Milliseconds, as `Date.now`. */
  readonly now?: () => number
}

/** What became of an attempt; one that was given up says nothing of its password. */
export type LoginOutcome = 'succeeded' | 'failed' | 'abandoned'

interface Count { failed: number, until: number }
/** `isCounted`: its address has it among the users that failed. */
interface PairCount extends Count { isCounted?: boolean }

const MAX_ENTRIES = 20_000
const FORGET_MS = 15 * 60_000
/** Nobody is kept waiting longer: who would have to is sent away with a Retry-After. */
const MAX_WAIT_MS = 5000
/** An address from which this many users failed, tries names. */
const FREE_USERS = 20
/** A user for whom this many passwords failed from addresses where it never logged in, is under attack. */
const FREE_GUESSES = 50
const SHORTEST_MS = 250

/**
 * Slows guessing down. Three things are counted, and forgotten after a quarter of an hour of silence:
 *
 * - wrong passwords of a user from an address: after some free ones the next has to wait, longer every time;
 * - users that failed from an address: after twenty, one attempt a second is let in from there;
 * - wrong passwords of a user from anywhere: after fifty, an attempt from a new address takes up to five seconds.
 *
 * A user who logged in from an address lately is at home there, and the last two do not count. So guessing at one user
 * slows nobody else, and neither the user where it is known; from a new address it has to be patient, and gets in.
 */
export class LoginThrottle {
  readonly #options: ThrottleOptions
  readonly #now: () => number
  readonly #pairs = counts<PairCount>()
  readonly #users = counts()
  readonly #addresses = counts()
  readonly #atHome = new LRUCache<string, true>({ max: MAX_ENTRIES, ttl: 24 * 60 * 60_000 })
  #refused = 0

  constructor (options: ThrottleOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** An attempt that is let in counts as failed until it is known to have succeeded: many at once gain nothing. */
  admit (attempt: LoginAttempt): Admission {
    const { user, address, pair } = keysOf(attempt)
    const now = this.#now()
    const tried = this.#count(this.#pairs, pair, now)
    const isAtHome = this.#atHome.has(pair)
    const waits = [this.#delayAfter(tried.failed) === 0 ? 0 : tried.until - now]
    if (!isAtHome) {
      const from = this.#count(this.#addresses, address, now)
      if (from.failed >= FREE_USERS) waits.push(from.until - now)
      waits.push(underAttack(this.#count(this.#users, user, now).failed))
    }
    const wait = Math.max(0, ...waits)
    if (wait > MAX_WAIT_MS) {
      this.#refused++
      return { retryAfter: wait }
    }
    tried.failed++
    tried.until = now + wait + this.#delayAfter(tried.failed)
    this.#pairs.set(pair, tried)
    if (!isAtHome) this.#takeTurn(address, now + wait)
    return { wait }
  }

  /** What became of an attempt that was let in. */
  settle (attempt: LoginAttempt, outcome: LoginOutcome): void {
    const { user, address, pair } = keysOf(attempt)
    if (outcome === 'succeeded') {
      this.#pairs.delete(pair)
      this.#atHome.set(pair, true)
      return
    }
    const tried = this.#pairs.get(pair)
    if (outcome === 'abandoned') {
      if (tried !== undefined && tried.failed > 0) tried.failed--
      return
    }
    if (this.#atHome.has(pair)) return
    const now = this.#now()
    this.#add(this.#users, user, now)
    if (tried?.isCounted !== true) this.#add(this.#addresses, address, now)
    if (tried !== undefined) tried.isCounted = true
  }

  /** For whoever wants to look at it. */
  get numbers (): Record<string, number> {
    return { users: this.#users.size, addresses: this.#addresses.size, refused: this.#refused }
  }

  #count<T extends Count> (of: LRUCache<string, T>, key: string, now: number): T {
    const count = of.get(key)
    return count === undefined || now - count.until > FORGET_MS ? { failed: 0, until: now } as T : count
  }

  #add (to: LRUCache<string, Count>, key: string, now: number): void {
    const count = this.#count(to, key, now)
    count.failed++
    count.until = Math.max(count.until, now)
    to.set(key, count)
  }

  /** From an address that tries names, one attempt follows another. */
  #takeTurn (address: string, at: number): void {
    const from = this.#count(this.#addresses, address, at)
    if (from.failed >= FREE_USERS) from.until = at + this.#options.delay
  }

  /** How long the next attempt has to wait after so many failed. */
  #delayAfter (failed: number): number {
    const { free, delay, maxDelay } = this.#options
    return failed < free ? 0 : Math.min(maxDelay, delay * 2 ** Math.min(failed - free, 30))
  }
}

function underAttack (failed: number): number {
  return failed < FREE_GUESSES ? 0 : Math.min(MAX_WAIT_MS, SHORTEST_MS * 2 ** Math.min(failed - FREE_GUESSES, 30))
}

function counts<T extends Count = Count> (): LRUCache<string, T> {
  return new LRUCache<string, T>({ max: MAX_ENTRIES })
}

function keysOf ({ user, address }: LoginAttempt): { user: string, address: string, pair: string } {
  const from = networkOf(address)
  // A name may be as long as a header.
  const name = user.length <= 64 ? user : createHash('sha256').update(user).digest('base64')
  return { user: name, address: from, pair: `${from} ${name}` }
}
