import type { Want } from './messages.js'

/**
 * Which of several processes may work on something, by key. Within the owner anything may happen at once; whoever
 * needs more than that puts a lock of its own behind it.
 */
export interface Ownership {
  /** Resolves when this process owns the key. Rejects with the signal's reason when the caller goes away first. */
  own (key: string, how: Want, signal: AbortSignal): Promise<void>
  owns (key: string): boolean
  /** Lets the next process have it. Nothing happens if this one does not own it. */
  release (key: string): void
  /** Asks the process that owns the key what its `onSettled` says; undefined when no other process owns it. */
  settled (key: string): Promise<boolean | undefined>
  /** Whether another process owns the key now. */
  isElsewhere (key: string): Promise<boolean>
  /** Another process waits for a key of this one, which is to be released when it can be. */
  onWanted (handler: (key: string, how: Want) => void): void
  /** Says whether anybody in this process still works on a key. */
  onSettled (handler: (key: string) => Promise<boolean>): void
}

interface Waiting { readonly id: number, readonly call: number, how: Want }
interface Owned { owner: Waiting, readonly queue: Waiting[] }

export interface OwnershipEvents {
  granted (id: number, call: number, key: string): void
  wanted (id: number, key: string, how: Want): void
}

/** The primary process's book of who owns what, first come first served. */
export class OwnershipTable {
  readonly #keys = new Map<string, Owned>()
  readonly #events: OwnershipEvents

  constructor (events: OwnershipEvents) {
    this.#events = events
  }

  ownerOf (key: string): number | undefined {
    return this.#keys.get(key)?.owner.id
  }

  own (id: number, call: number, key: string, how: Want): void {
    const entry = this.#keys.get(key)
    if (entry === undefined) {
      this.#keys.set(key, { owner: { id, call, how }, queue: [] })
      this.#events.granted(id, call, key)
      return
    }
    const waiting = entry.queue.find(one => one.id === id && one.call === call)
    if (waiting === undefined) entry.queue.push({ id, call, how })
    else waiting.how = how
    this.#events.wanted(entry.owner.id, key, how)
  }

  release (id: number, call: number, key: string): void {
    const entry = this.#keys.get(key)
    if (entry === undefined) return
    const isIt = (one: Waiting): boolean => one.id === id && one.call === call
    if (isIt(entry.owner)) this.#next(key, entry)
    else this.#drop(entry, isIt)
  }

  /** A process died: what it owned goes to the next, what it waited for is forgotten. */
  leave (id: number): void {
    for (const [key, entry] of this.#keys) {
      this.#drop(entry, one => one.id === id)
      if (entry.owner.id === id) this.#next(key, entry)
    }
  }

  #drop ({ queue }: Owned, isIt: (one: Waiting) => boolean): void {
    for (let i = queue.length - 1; i >= 0; i--) {
      if (isIt(queue[i] as Waiting)) queue.splice(i, 1)
    }
  }

  #next (key: string, entry: Owned): void {
    const next = entry.queue.shift()
    if (next === undefined) {
      this.#keys.delete(key)
      return
    }
    entry.owner = next
    this.#events.granted(next.id, next.call, key)
    for (const { how } of entry.queue) this.#events.wanted(next.id, key, how)
  }
}

export interface OwnedKeysPort {
  own (call: number, key: string, how: Want): void
  release (call: number, key: string): void
  settled (key: string): Promise<boolean | undefined>
  isElsewhere (key: string): Promise<boolean>
}

interface Pending { readonly call: number, how: Want, waiters: number, readonly granted: Promise<void>, readonly resolve: () => void }

/** A worker's side of the table. Every request to own a key ends with exactly one release, granted or not. */
export class OwnedKeys implements Ownership {
  readonly #port: OwnedKeysPort
  readonly #owned = new Map<string, number>()
  readonly #pending = new Map<string, Pending>()
  #calls = 0
  #wanted: (key: string, how: Want) => void = () => {}
  #settled: (key: string) => Promise<boolean> = async () => true

  constructor (port: OwnedKeysPort) {
    this.#port = port
  }

  async own (key: string, how: Want, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#owned.has(key)) return
    const pending = this.#ask(key, how)
    pending.waiters++
    let onAbort!: () => void
    const aborted = new Promise<void>(resolve => { onAbort = resolve })
    signal.addEventListener('abort', onAbort)
    try {
      await Promise.race([pending.granted, aborted])
    } finally {
      signal.removeEventListener('abort', onAbort)
      pending.waiters--
      if (pending.waiters === 0 && this.#pending.get(key) === pending) {
        this.#pending.delete(key)
        this.#port.release(pending.call, key)
      }
    }
    signal.throwIfAborted()
  }

  owns (key: string): boolean {
    return this.#owned.has(key)
  }

  release (key: string): void {
    const call = this.#owned.get(key)
    if (call === undefined) return
    this.#owned.delete(key)
    this.#port.release(call, key)
  }

  async settled (key: string): Promise<boolean | undefined> {
    return this.#owned.has(key) ? undefined : await this.#port.settled(key)
  }

  async isElsewhere (key: string): Promise<boolean> {
    return !this.#owned.has(key) && await this.#port.isElsewhere(key)
  }

  onWanted (handler: (key: string, how: Want) => void): void {
    this.#wanted = handler
  }

  onSettled (handler: (key: string) => Promise<boolean>): void {
    this.#settled = handler
  }

  /** The primary process grants a key. One that nobody waits for any more was released already. */
  granted (call: number, key: string): void {
    const pending = this.#pending.get(key)
    if (pending?.call !== call) return
    this.#pending.delete(key)
    this.#owned.set(key, call)
    pending.resolve()
  }

  wanted (key: string, how: Want): void {
    if (this.#owned.has(key)) this.#wanted(key, how)
  }

  async answerSettled (key: string): Promise<boolean> {
    return await this.#settled(key)
  }

  #ask (key: string, how: Want): Pending {
    const known = this.#pending.get(key)
    if (known !== undefined) {
      if (how === 'seize' && known.how === 'wait') {
        known.how = how
        this.#port.own(known.call, key, how)
      }
      return known
    }
    let resolve!: () => void
    const granted = new Promise<void>(_resolve => { resolve = _resolve })
    const pending = { call: ++this.#calls, how, waiters: 0, granted, resolve }
    this.#pending.set(key, pending)
    this.#port.own(pending.call, key, how)
    return pending
  }
}
