import type { JWK } from 'jose'
import { keyIds, trustedJwk } from './trusted-key.js'
import type { TrustedKey } from './trusted-key.js'

/** Keys by everything they may be called. */
export type KeysById = ReadonlyMap<string, TrustedKey>

/**
 * Reads a JSON Web Key Set. Entries that cannot verify tokens (symmetric, for encryption, unknown kinds) are passed
 * over; of two with one name the last counts.
 *
 * @throws {Error} when it is no key set, or none of its keys can be used
 */
export async function parseKeySet (text: string): Promise<Map<string, TrustedKey>> {
  const set = JSON.parse(text) as { keys?: unknown } | null
  if (!Array.isArray(set?.keys)) throw new Error('it is no JSON Web Key Set')
  const keys = new Map<string, TrustedKey>()
  for (const entry of set.keys as unknown[]) {
    if (typeof entry !== 'object' || entry === null) continue
    const jwk = entry as JWK
    const trusted = usable(jwk)
    if (trusted === undefined) continue
    for (const id of await keyIds(trusted.key)) keys.set(id, trusted)
    if (typeof jwk.kid === 'string') keys.set(jwk.kid, trusted)
  }
  if (keys.size === 0) throw new Error('none of its keys can verify tokens')
  return keys
}

function usable (jwk: JWK): TrustedKey | undefined {
  try {
    return trustedJwk(jwk)
  } catch {
    return undefined
  }
}

export interface KeySetOptions {
  /** Reads the set; undefined when it is as it was. */
  readonly load: () => Promise<string | undefined>
  /** After how long it is read again. */
  readonly maxAgeMs: number
  /** How long it is not read again whatever is asked for, also after a failure. */
  readonly cooldownMs: number
  readonly now: () => number
  /** Other keys are there than before. */
  readonly changed: () => void
  readonly failed: (error: unknown) => void
}

/**
 * A key set that can change while it is in use. Known keys stay in use for as long as no others can be read; however
 * many ask for an unknown key, the set is read once at a time and not again before the cooldown is over.
 */
export class KeySet {
  readonly #options: KeySetOptions
  #keys: KeysById = new Map()
  #text = ''
  #attempted = -Infinity
  #loading: Promise<void> | undefined

  constructor (options: KeySetOptions) {
    this.#options = options
  }

  get (id: string): TrustedKey | undefined {
    return this.#keys.get(id)
  }

  /** Begins to read the set again if it is old. What it has until then stays in use. */
  touch (): void {
    if (this.#age >= this.#options.maxAgeMs) void this.refresh()
  }

  /** Reads the set again, unless that was just done. Never rejects. */
  async refresh (): Promise<void> {
    if (this.#loading !== undefined) return await this.#loading
    if (this.#age < this.#options.cooldownMs) return
    this.#loading = this.load().catch(this.#options.failed).finally(() => { this.#loading = undefined })
    await this.#loading
  }

  /** Reads the set now. Rejects when it cannot be used; the keys are then those from before. */
  async load (): Promise<void> {
    this.#attempted = this.#options.now()
    const text = await this.#options.load()
    if (text === undefined || text === this.#text) return
    const keys = await parseKeySet(text)
    this.#keys = keys
    this.#text = text
    this.#options.changed()
  }

  /** A clock that was set back does not keep the set from being read. */
  get #age (): number {
    const age = this.#options.now() - this.#attempted
    return age < 0 ? Infinity : age
  }

  /** For operators: how many names keys have, and when the set was last asked for. */
  get state (): { names: number, asked: string | null } {
    return { names: this.#keys.size, asked: Number.isFinite(this.#attempted) ? new Date(this.#attempted).toISOString() : null }
  }
}
