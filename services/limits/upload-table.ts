/** One body that is being received. */
export interface UploadSlot {
  readonly process: number
  /** Of the process's own choosing. */
  readonly id: number
  readonly client: string
}

export interface UploadLimits {
  /** 0 means any number. */
  readonly max: number
  readonly perClient: number
}

/** After so much silence a process is dead, and what it held is free. */
const DEAD_MS = 30_000

interface Held { readonly slots: Map<number, string>, heard: number }

/** The leading process's book of who receives what. */
export class UploadTable {
  readonly #limits: UploadLimits
  readonly #now: () => number
  readonly #processes = new Map<number, Held>()
  readonly #clients = new Map<string, number>()
  #total = 0

  constructor (limits: UploadLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  /** Undefined when it was let in, otherwise the limit that was reached: that of the client if both were. */
  enter (slot: UploadSlot): 'uploadsOfClient' | 'uploads' | undefined {
    const { max, perClient } = this.#limits
    this.#forgetDead()
    if (perClient > 0 && (this.#clients.get(slot.client) ?? 0) >= perClient) return 'uploadsOfClient'
    if (max > 0 && this.#total >= max) return 'uploads'
    this.#add(slot)
    return undefined
  }

  leave ({ process, id }: Omit<UploadSlot, 'client'>): void {
    const held = this.#processes.get(process)
    const client = held?.slots.get(id)
    if (held === undefined || client === undefined) return
    held.slots.delete(id)
    this.#release(client)
  }

  /** A process lives, and says what it holds: a leader that has just taken over did not know. */
  renew (process: number, slots: ReadonlyArray<readonly [id: number, client: string]>): void {
    for (const [id, client] of slots) {
      if (this.#processes.get(process)?.slots.has(id) !== true) this.#add({ process, id, client })
    }
    const held = this.#processes.get(process)
    if (held !== undefined) held.heard = this.#now()
  }

  #add ({ process, id, client }: UploadSlot): void {
    const held = this.#processes.get(process) ?? { slots: new Map<number, string>(), heard: 0 }
    this.#processes.set(process, held)
    held.heard = this.#now()
    held.slots.set(id, client)
    this.#clients.set(client, (this.#clients.get(client) ?? 0) + 1)
    this.#total++
  }

  #release (client: string): void {
    const left = (this.#clients.get(client) ?? 1) - 1
    if (left === 0) this.#clients.delete(client)
    else this.#clients.set(client, left)
    this.#total--
  }

  #forgetDead (): void {
    const now = this.#now()
    for (const [process, { slots, heard }] of this.#processes) {
      if (now - heard < DEAD_MS) continue
      this.#processes.delete(process)
      for (const client of slots.values()) this.#release(client)
    }
  }
}
