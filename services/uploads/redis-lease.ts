import { randomUUID } from 'node:crypto'
import { OciError } from '../errors/oci-error.js'
import type { Clock } from '../maintenance/clock.js'
import type { RedisConnection } from '../redis/connection.js'
import type { Want } from '../workers/messages.js'
import type { LeaseProof, UploadLease } from './locks.js'

/** How long a session stays with a server from which nothing is heard: one that died, or cannot reach Redis. */
export const LEASE_MS = 5000
/** How often a holder says that it is there, and hears who waits for it. */
export const RENEW_MS = 1000
/** How long a request that waits is remembered: it asks more often than that. */
export const WANT_MS = 2000

/** The session, if it is free or ours; else whoever holds it is told that somebody waits. */
const TAKE = `local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) redis.call('DEL', KEYS[2]) return 1 end
if ARGV[3] ~= '' and redis.call('GET', KEYS[2]) ~= 'seize' then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
return 0`
/** 'ours', 'again' when nobody had it any more, or 'lost'; and how it is wanted. */
const KEEP = `local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return {'lost', ''} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {holder and 'ours' or 'again', redis.call('GET', KEYS[2]) or ''}`
const END = `local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('DEL', KEYS[1]) return {'ours', ''} end
return {holder and 'lost' or 'again', ''}`

/** What the leases of one server have in common. */
export interface RedisLeaseParts {
  readonly redis: RedisConnection
  readonly clock: Clock
  /** Told when Redis does not do what it is asked. */
  readonly failed: (error: unknown) => void
  /** A request on another server waits for this session. */
  readonly wanted: (id: string, how: Want) => void
  readonly released: (id: string) => void
}

/** The keys of a session: who holds it, and how somebody waits for it. The braces keep both on one node of a cluster. */
export function lockKeys (id: string): [holder: string, want: string] {
  return [`oci-registry:upload:{${id}}`, `oci-registry:upload:{${id}}:want`]
}

/**
 * A session's lease in Redis, on top of the lease that the server itself has given. It is renewed until it is released.
 * While Redis is away it is believed for as long as it would live there, and after that it is in doubt: the request goes
 * on, and asks storage whether anybody else has written before it changes what is there.
 */
export class RedisUploadLease implements UploadLease, LeaseProof {
  readonly signal: AbortSignal
  readonly proof: LeaseProof = this
  readonly #id: string
  readonly #inner: UploadLease
  readonly #parts: RedisLeaseParts
  readonly #token = randomUUID()
  readonly #lost = new AbortController()
  readonly #over = new AbortController()
  /** When Redis was last known to have it as ours. */
  #provenAt = -Infinity
  /** When it was last asked, of what has been answered or given up by now. */
  #askedAt = -Infinity
  #isInDoubt = false
  #hasEnded = false

  constructor (id: string, inner: UploadLease, parts: RedisLeaseParts) {
    this.#id = id
    this.#inner = inner
    this.#parts = parts
    this.signal = AbortSignal.any([inner.signal, this.#lost.signal])
  }

  get isFresh (): boolean {
    return !this.#lost.signal.aborted && this.#parts.clock.now() - this.#askedAt < LEASE_MS / 2
  }

  touch (): void {
    this.#inner.touch()
  }

  /** One attempt. False when another server has the session. Rejects when Redis does not say. */
  async take (how: Want | ''): Promise<boolean> {
    const now = this.#parts.clock.now()
    if (Number(await this.#eval(TAKE, LEASE_MS, how, WANT_MS)) !== 1) return false
    this.#provenAt = this.#askedAt = now
    return true
  }

  /** Goes on without an answer of Redis. */
  doubt (): void {
    this.#isInDoubt = true
    this.#askedAt = this.#parts.clock.now()
  }

  /** Renews it from now on until it is released. */
  keep (): void {
    void this.#renewUntilReleased()
  }

  async renew (): Promise<boolean> {
    return await this.#prove(KEEP)
  }

  async end (): Promise<boolean> {
    this.#over.abort()
    const isSure = await this.#prove(END)
    this.#hasEnded = true
    return isSure
  }

  release (): void {
    this.#over.abort()
    // Sent before the next request of this process can ask. What does not arrive ends by itself.
    if (!this.#hasEnded) this.#eval(END).catch(this.#parts.failed)
    this.#hasEnded = true
    this.#parts.released(this.#id)
    this.#inner.release()
  }

  async #renewUntilReleased (): Promise<void> {
    const { clock } = this.#parts
    const { signal } = this.#over
    // Also while it is told to let go: what was received still has to be put in place.
    while (!this.#lost.signal.aborted) {
      await clock.sleep(RENEW_MS, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      const isSure = await this.renew().catch(() => false) // its signal says so
      // Nobody heard the answer: the request has to ask for itself, and then storage.
      if (!isSure) this.#askedAt = -Infinity
    }
  }

  async #prove (script: string): Promise<boolean> {
    const now = this.#parts.clock.now()
    let answer: [state: string, want: string]
    try {
      answer = await this.#eval(script, LEASE_MS) as [string, string]
    } catch (error) {
      this.#parts.failed(error)
      this.#askedAt = now
      if (now - this.#provenAt >= LEASE_MS) this.#isInDoubt = true
      return !this.#isInDoubt
    }
    const [state, want] = answer
    if (state === 'lost') throw this.#lose()
    if (state === 'again') this.#isInDoubt = true
    this.#provenAt = this.#askedAt = now
    if (want === 'wait' || want === 'seize') this.#parts.wanted(this.#id, want)
    return !this.#isInDoubt
  }

  #lose (): OciError {
    const error = new OciError('RANGE_INVALID', { detail: 'another server took over this upload' })
    this.#lost.abort(error)
    return error
  }

  async #eval (script: string, ...args: Array<string | number>): Promise<unknown> {
    const keys = lockKeys(this.#id)
    return await this.#parts.redis.run(async client => await client.call('EVAL', script, keys.length, ...keys, this.#token, ...args))
  }
}
