import type { Want } from '../workers/messages.js'
import type { Ownership } from '../workers/ownership.js'
import { LocalUploadLocks, forever } from './locks.js'
import type { UploadLease, UploadLocks } from './locks.js'

/** A key that nobody has is granted as soon as a message has come and gone. */
const GRANT_MS = 1000

/**
 * The locks of a server of several processes. A session belongs to one process at a time, and within it to one request
 * by the same rules as ever. A process that is asked for a session queues for it like a request of its own: so a
 * holder that still receives keeps it, and one that is dead is told to let go, whichever process asks.
 */
export class SharedUploadLocks implements UploadLocks {
  readonly #ownership: Ownership
  readonly #local: LocalUploadLocks
  /** Requests of this process that have a session or wait for it. */
  readonly #users = new Map<string, number>()

  constructor (ownership: Ownership, local: LocalUploadLocks = new LocalUploadLocks()) {
    this.#ownership = ownership
    this.#local = local
    ownership.onWanted((id, how) => { void this.#giveUp(id, how) })
    ownership.onSettled(async id => await local.settled(id, forever()))
  }

  fresh (id: string): UploadLease {
    return this.#local.fresh(id)
  }

  async acquire (id: string, signal: AbortSignal): Promise<UploadLease> {
    return await this.#take(id, 'wait', signal)
  }

  async tryAcquire (id: string): Promise<UploadLease | undefined> {
    // Whoever takes it between this question and ours for it keeps it, and we do not wait for that.
    if (await this.#ownership.isElsewhere(id)) return undefined
    const lease = await this.#local.tryAcquire(id)
    if (lease === undefined) return undefined
    this.#enter(id)
    try {
      await this.#ownership.own(id, 'wait', AbortSignal.timeout(GRANT_MS))
      return this.#shared(id, lease)
    } catch {
      lease.release()
      this.#leave(id)
      return undefined
    }
  }

  async seize (id: string, signal: AbortSignal): Promise<UploadLease> {
    return await this.#take(id, 'seize', signal)
  }

  async settled (id: string, signal: AbortSignal): Promise<boolean> {
    const elsewhere = await this.#ownership.settled(id)
    signal.throwIfAborted()
    return elsewhere ?? await this.#local.settled(id, signal)
  }

  async #take (id: string, how: Want, signal: AbortSignal): Promise<UploadLease> {
    this.#enter(id)
    try {
      for (;;) {
        await this.#ownership.own(id, how, signal)
        const lease = await this.#lock(id, how, signal)
        // While this one waited for its turn here, another process may have got the session.
        if (this.#ownership.owns(id)) return this.#shared(id, lease)
        lease.release()
      }
    } catch (error) {
      this.#leave(id)
      throw error
    }
  }

  async #lock (id: string, how: Want, signal: AbortSignal): Promise<UploadLease> {
    return how === 'seize' ? await this.#local.seize(id, signal) : await this.#local.acquire(id, signal)
  }

  #shared (id: string, lease: UploadLease): UploadLease {
    let isHeld = true
    const release = (): void => {
      if (!isHeld) return
      isHeld = false
      lease.release()
      this.#leave(id)
    }
    return { ...lease, release }
  }

  #enter (id: string): void {
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1)
  }

  /** The last request that is done with a session gives it back, so that no process has to be asked for it. */
  #leave (id: string): void {
    const users = (this.#users.get(id) ?? 1) - 1
    if (users > 0) {
      this.#users.set(id, users)
      return
    }
    this.#users.delete(id)
    this.#ownership.release(id)
  }

  async #giveUp (id: string, how: Want): Promise<void> {
    const lease = await this.#lock(id, how, forever())
    this.#ownership.release(id)
    lease.release()
  }
}
