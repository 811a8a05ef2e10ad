import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ConfigError } from '../../errors/config-error.js'
import { parseBundle } from './certificates.js'
import type { KeySet, KeysById } from './key-set.js'
import { keyIds, trustedKey } from './trusted-key.js'
import type { TrustedKey } from './trusted-key.js'

export interface TrustedKeysOptions {
  readonly roots?: readonly X509Certificate[]
  readonly fixed?: KeysById
  readonly sets?: readonly KeySet[]
  /** Keys that this server signs with itself, when they are known. */
  readonly own?: () => Promise<KeysById>
}

/** Everything a token may be signed with: keys by what they are called, and certificates that chains may lead to. */
export class TrustedKeys {
  readonly roots: readonly X509Certificate[]
  readonly #fixed: KeysById
  readonly #sets: readonly KeySet[]
  readonly #own: () => Promise<KeysById>

  constructor ({ roots = [], fixed = new Map(), sets = [], own = async () => fixed }: TrustedKeysOptions) {
    this.roots = roots
    this.#fixed = fixed
    this.#sets = sets
    this.#own = own
  }

  /** Looks whether key sets have got old. Costs nothing when they have not. */
  touch (): void {
    for (const set of this.#sets) set.touch()
  }

  /**
   * A key by its name, for which key sets are read again when nobody knows it.
   *
   * @throws {OciError} UNAVAILABLE when there is no knowing yet what this server signs with
   */
  async find (id: string): Promise<TrustedKey | undefined> {
    const known = this.#get(id)
    if (known !== undefined) return known
    const own = (await this.#own()).get(id)
    if (own !== undefined) return own
    await Promise.all(this.#sets.map(async set => { await set.refresh() }))
    return this.#get(id)
  }

  #get (id: string): TrustedKey | undefined {
    for (const set of this.#sets) {
      const key = set.get(id)
      if (key !== undefined) return key
    }
    return this.#fixed.get(id)
  }

  /** For operators: the key sets, which can change. */
  get state (): ReadonlyArray<KeySet['state']> {
    return this.#sets.map(({ state }) => state)
  }
}

/**
 * Reads `rootcertbundle`.
 *
 * @throws {ConfigError} when it cannot be read or has no certificate
 */
export async function readBundle (key: string, path: string): Promise<{ roots: X509Certificate[], fixed: KeysById }> {
  const roots = configured(key, () => parseBundle(readFileSync(path, 'latin1')))
  if (roots.length === 0) throw new ConfigError(`${key}: there is no certificate in ${path}`)
  const fixed = new Map<string, TrustedKey>()
  for (const { publicKey } of roots) {
    const trusted = trustedKey(publicKey)
    if (trusted === undefined) continue
    for (const id of await keyIds(publicKey)) fixed.set(id, trusted)
  }
  return { roots, fixed }
}

/** @throws {ConfigError} that names the key, for whatever `read` throws */
export function configured<T> (key: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new ConfigError(`${key}: ${(error as Error).message}`, { cause: error })
  }
}
