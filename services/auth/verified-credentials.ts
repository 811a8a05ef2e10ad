import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Identity } from './credentials.js'

const MAX_ENTRIES = 1000
const MAX_AGE_MS = 10 * 60_000

/** Of this process and never written anywhere: what is remembered says nothing of a password to who does not have it. */
const KEY = randomBytes(64).toString('latin1')

/** What names credentials without telling them. */
export function credentialKey (user: string, password: string): string {
  // The key fills a block of its own. An HMAC would cost ten times as much, and guard against what cannot happen here:
  // nobody sees a hash, to make a longer one of it.
  return hash('sha256', `${KEY}${user.length}:${user}:${password}`, 'base64')
}

/** Credentials that were right a short while ago, and those that are being looked at. */
export class VerifiedCredentials {
  readonly #known = new LRUCache<string, Identity>({ max: MAX_ENTRIES, ttl: MAX_AGE_MS })
  readonly #pending = new Map<string, Promise<Identity | undefined>>()

  get (key: string): Identity | undefined {
    return this.#known.get(key)
  }

  /**
   * Runs `check`, or waits for the one that runs for the same credentials from the same address; remembers a good outcome.
   */
  async check (key: string, address: string, check: () => Promise<Identity | undefined>): Promise<Identity | undefined> {
    const same = `${key} ${address}`
    let pending = this.#pending.get(same)
    if (pending === undefined) {
      pending = this.#checked(key, check).finally(() => { this.#pending.delete(same) })
      this.#pending.set(same, pending)
    }
    return await pending
  }

  get size (): number {
    return this.#known.size
  }

  async #checked (key: string, check: () => Promise<Identity | undefined>): Promise<Identity | undefined> {
    const identity = await check()
    if (identity !== undefined) this.#known.set(key, identity)
    return identity
  }
}
