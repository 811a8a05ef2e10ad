import { randomUUID } from 'node:crypto'
import { orIfMissing, readSmall } from '../errors/driver-error.js'
import type { StorageDriver } from '../storage/driver.js'
import { systemClock } from './clock.js'
import type { Clock } from './clock.js'

/** Where leases lie: outside the tree of docker's registry, which never looks there. */
const LEASES = '/oci-registry/leases'
const MAX_LEASE_BYTES = 1024

export interface LeaseOptions {
  /** After this long without a renewal others may take the lease. Default a minute. */
  readonly ttlMs?: number
  /** How long a taker waits before it believes its own entry. Default a second. */
  readonly settleMs?: number
  readonly clock?: Clock
}

interface Entry { readonly owner: string, readonly expires: number }

/**
 * The right to do a thing on this storage, of which one process at a time has it, whatever server or machine it is on.
 * Renewed in the background until disposed of.
 */
export interface Lease extends AsyncDisposable {
  /** Aborts when the lease was lost: somebody else may hold it now. */
  readonly signal: AbortSignal
}

/**
 * Takes the lease of this name: writes an entry with a random owner and an expiry, waits, and reads it again. Undefined
 * when somebody else has it, or wants it at the same moment and wrote last.
 *
 * Needs of the driver nothing but whole-object reads and writes, so it is no lock in the strict sense. Two may hold the
 * lease for up to a third of its time if one of them was stopped for longer than the settling delay between two steps,
 * or if clocks of machines differ by more than the lease's time; the first renewal ends that. So whatever is done under
 * a lease must be harmless when done twice at once: the lease saves work, it does not make anything safe.
 */
export async function acquireLease (driver: StorageDriver, name: string, options: LeaseOptions = {}): Promise<Lease | undefined> {
  const { ttlMs = 60_000, settleMs = 1000, clock = systemClock } = options
  const path = `${LEASES}/${name}`
  const owner = randomUUID()
  const began = clock.now()
  const held = await readEntry(driver, path)
  // One that expires later than any lease does was written by a clock that was wrong.
  if (held !== undefined && held.expires > began && held.expires <= began + 2 * ttlMs) return undefined
  const expires = began + ttlMs
  await writeEntry(driver, path, { owner, expires })
  // Whoever else found the lease free wrote within the settling delay too, or gives up because it was slower.
  const isSlow = clock.now() - began > settleMs
  if (!isSlow) await clock.sleep(settleMs)
  const isMine = (await readEntry(driver, path))?.owner === owner
  if (isMine && isSlow) await orIfMissing(driver.delete(path), undefined)
  return isMine && !isSlow ? new StorageLease({ driver, path, ttlMs, clock, owner, expires }) : undefined
}

interface LeaseState {
  readonly driver: StorageDriver
  readonly path: string
  readonly ttlMs: number
  readonly clock: Clock
  readonly owner: string
  readonly expires: number
}

class StorageLease implements Lease {
  readonly #state: LeaseState
  readonly #lost = new AbortController()
  readonly #released = new AbortController()
  readonly #renewing: Promise<void>
  #expires: number

  constructor (state: LeaseState) {
    this.#state = state
    this.#expires = state.expires
    this.#renewing = this.#renewUntilReleased()
  }

  get signal (): AbortSignal {
    return this.#lost.signal
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    this.#released.abort()
    await this.#renewing
    const { driver, path, owner } = this.#state
    // What cannot be removed expires.
    const isMine = await readEntry(driver, path).then(entry => entry?.owner === owner, () => false)
    if (isMine) await driver.delete(path).catch(() => {})
  }

  async #renewUntilReleased (): Promise<void> {
    const { clock, ttlMs } = this.#state
    const { signal } = this.#released
    for (;;) {
      await clock.sleep(ttlMs / 3, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      // Storage that fails for a moment is no reason to stop; not being able to tell for as long as a lease lasts is.
      const isMine = await this.#renew().catch(() => clock.now() < this.#expires)
      if (isMine) continue
      this.#lost.abort(new Error(`lost the lease ${this.#state.path}`))
      return
    }
  }

  async #renew (): Promise<boolean> {
    const { driver, path, owner, clock, ttlMs } = this.#state
    const now = clock.now()
    if (now >= this.#expires || (await readEntry(driver, path))?.owner !== owner) return false
    await writeEntry(driver, path, { owner, expires: now + ttlMs })
    this.#expires = now + ttlMs
    return true
  }
}

/** Undefined also for what nobody can read: it is nobody's. */
async function readEntry (driver: StorageDriver, path: string): Promise<Entry | undefined> {
  const content = await readSmall(driver.read(path, { maxBytes: MAX_LEASE_BYTES }))
  const [owner, expires] = content?.toString('latin1').split('\n') ?? []
  if (owner === undefined || expires === undefined || !/^\d{1,16}$/.test(expires)) return undefined
  return { owner, expires: Number(expires) }
}

async function writeEntry (driver: StorageDriver, path: string, { owner, expires }: Entry): Promise<void> {
  await driver.write(path, Buffer.from(`${owner}\n${expires}`), { durable: false })
}
