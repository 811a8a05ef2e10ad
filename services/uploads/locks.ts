/** The right to write to one upload session, until released. */
export interface UploadLease {
  /** Aborts when a newer request takes the session over. */
  readonly signal: AbortSignal
  /** Says that the client is alive: to be called for every piece received. */
  touch (): void
  release (): void
  /** Absent where nobody can take the session without this process knowing. */
  readonly proof?: LeaseProof
}

/** What a holder asks for that can lose its lease without having been told, because others on other machines may take it. */
export interface LeaseProof {
  /** Whether it was asked a moment ago. If not, it is to be asked before anything else is written. */
  readonly isFresh: boolean
  /**
   * Whether it is sure that nobody else has had the session since. Otherwise nobody is known to have it now, and storage
   * has to tell.
   *
   * @throws {OciError} RANGE_INVALID when somebody else has it: nothing may be written any more
   */
  renew (): Promise<boolean>
  /** Like `renew`, and lets the next one have it: what this request does from here on changes nothing of the session. */
  end (): Promise<boolean>
}

/** A holder from whom nothing was heard for this long is taken for dead when somebody else asks for the session. */
export const IDLE_MS = 2000

/**
 * One writer per upload session, with hand-over: a client that lost its connection and comes back is not blocked by
 * its own dead request. A holder that still receives keeps the session, so that of two live requests one wins.
 */
export interface UploadLocks {
  /** The lease of a session that nobody else can know of yet. */
  fresh (id: string): UploadLease
  /** Waits for the session. Rejects with the signal's reason when the caller goes away first. */
  acquire (id: string, signal: AbortSignal): Promise<UploadLease>
  /** The session if nobody holds it, dead or alive. */
  tryAcquire (id: string): Promise<UploadLease | undefined>
  /** Like `acquire`, but does not wait for a holder that may be alive: it is told to stop at once. */
  seize (id: string, signal: AbortSignal): Promise<UploadLease>
  /**
   * Resolves true when nobody writes, at once or after a dead holder let go; false when the holder is alive and the
   * size is a moving target.
   */
  settled (id: string, signal: AbortSignal): Promise<boolean>
}

/** The locks of a server of one process. */
export class LocalUploadLocks implements UploadLocks {
  readonly #held = new Map<string, Holder>()
  readonly #idleMs: number

  constructor ({ idleMs = IDLE_MS }: { readonly idleMs?: number } = {}) {
    this.#idleMs = idleMs
  }

  fresh (id: string): UploadLease {
    return this.#grant(id)
  }

  async acquire (id: string, signal: AbortSignal): Promise<UploadLease> {
    for (;;) {
      signal.throwIfAborted()
      const holder = this.#held.get(id)
      if (holder === undefined) return this.#grant(id)
      const idleFor = Date.now() - holder.lastHeard
      if (idleFor >= this.#idleMs) holder.controller.abort()
      await either(holder.released, idleFor < this.#idleMs ? this.#idleMs - idleFor : this.#idleMs, signal)
    }
  }

  async tryAcquire (id: string): Promise<UploadLease | undefined> {
    return this.#held.has(id) ? undefined : this.#grant(id)
  }

  async seize (id: string, signal: AbortSignal): Promise<UploadLease> {
    for (;;) {
      signal.throwIfAborted()
      const holder = this.#held.get(id)
      if (holder === undefined) return this.#grant(id)
      // Also one that was waiting before us and got the session first.
      holder.controller.abort()
      await either(holder.released, this.#idleMs, signal)
    }
  }

  async settled (id: string, signal: AbortSignal): Promise<boolean> {
    const holder = this.#held.get(id)
    if (holder === undefined) return true
    const heard = holder.lastHeard
    const idleFor = Date.now() - heard
    if (idleFor < this.#idleMs) await either(holder.released, this.#idleMs - idleFor, signal)
    if (this.#held.get(id) !== holder) return true
    if (holder.lastHeard !== heard) return false
    holder.controller.abort()
    await either(holder.released, this.#idleMs, signal)
    return this.#held.get(id) !== holder
  }

  #grant (id: string): UploadLease {
    const holder = new Holder()
    this.#held.set(id, holder)
    return {
      get signal () { return holder.controller.signal },
      touch: () => { holder.lastHeard = Date.now() },
      release: () => {
        if (this.#held.get(id) === holder) this.#held.delete(id)
        holder.free()
      }
    }
  }
}

class Holder {
  readonly released: Promise<void>
  free!: () => void
  lastHeard = Date.now()
  #controller: AbortController | undefined

  constructor () {
    this.released = new Promise(resolve => { this.free = resolve })
  }

  /** Made when somebody needs it: most requests write nothing that could be interrupted. */
  get controller (): AbortController {
    this.#controller ??= new AbortController()
    return this.#controller
  }
}

/** Of whoever does not go away. */
export function forever (): AbortSignal {
  return new AbortController().signal
}

/** Resolves when `event` does or after `ms`; rejects when the signal aborts. Leaves no timer behind. */
async function either (event: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  let finish!: () => void
  const waited = new Promise<void>(resolve => { finish = resolve })
  const timer = setTimeout(finish, ms)
  signal.addEventListener('abort', finish)
  try {
    await Promise.race([event, waited])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', finish)
  }
  signal.throwIfAborted()
}
