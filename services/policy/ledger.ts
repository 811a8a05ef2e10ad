import { LRUCache } from 'lru-cache'
import type { Digest, RepositoryName } from '../reference/reference.js'
import type { Usage } from './usage.js'

/** What a repository would hold if a push came through, and whether that is more than it may. */
export interface Room {
  readonly fits: boolean
  /** Bytes of what the repository holds. */
  readonly used: number
  /** Bytes promised to pushes that are under way, this one not among them. */
  readonly promised: number
}

export interface Reservation {
  readonly name: RepositoryName
  /** The push it is for: a later reservation of the same one takes the place of an earlier one. */
  readonly id: string
  readonly bytes: number
  readonly limit: number
  /** Known only when all of it has arrived: what the repository holds already needs no room. */
  readonly digest?: Digest
}

interface Account {
  usage: Usage
  used: number
  countedAt: number
  readonly promises: Map<string, { readonly bytes: number, readonly until: number }>
  /** While it is being counted: changes that the count may or may not have seen. Making them twice does no harm. */
  changes: Array<(usage: Usage) => void> | undefined
  counting: Promise<void> | undefined
}

export interface LedgerOptions {
  readonly count: (name: RepositoryName) => Promise<Usage>
  readonly now?: () => number
}

/** Digests remembered in all; a repository that is forgotten is counted again. */
const MAX_DIGESTS = 500_000
/** Others may change storage too: garbage collection, other servers. So a count is made again, beside what goes on. */
const RECOUNT_MS = 10 * 60_000
/** How long a push may be silent before its room is given to others; it asks again when it goes on, and at its end. */
const PROMISE_MS = 30_000

/** How much each repository holds, and how much it has promised to pushes that are under way. */
export class QuotaLedger {
  readonly #count: LedgerOptions['count']
  readonly #now: () => number
  readonly #accounts = new LRUCache<RepositoryName, Account>({
    maxSize: MAX_DIGESTS,
    // However large one is, there is room for two.
    sizeCalculation: ({ usage }) => Math.min(usage.size + 1, MAX_DIGESTS / 2)
  })

  constructor ({ count, now = Date.now }: LedgerOptions) {
    this.#count = count
    this.#now = now
  }

  /** Promises room to a push, if there is any. */
  async reserve ({ name, id, bytes, limit, digest }: Reservation): Promise<Room> {
    const account = await this.#account(name)
    const now = this.#now()
    let promised = 0
    for (const [other, promise] of account.promises) {
      if (promise.until <= now) account.promises.delete(other)
      else if (other !== id) promised += promise.bytes
    }
    const needed = digest !== undefined && account.usage.has(digest) ? 0 : bytes
    const fits = needed === 0 || account.used + promised + needed <= limit
    if (fits) account.promises.set(id, { bytes: needed, until: now + PROMISE_MS })
    return { fits, used: account.used, promised }
  }

  /** The push came through: what it was promised is now what it uses. */
  settle (name: RepositoryName, id: string, digest: Digest, size: number): void {
    this.#change(name, usage => { usage.set(digest, size) })
    this.release(name, id)
  }

  /** The push is over. */
  release (name: RepositoryName, id: string): void {
    this.#accounts.peek(name)?.promises.delete(id)
  }

  remove (name: RepositoryName, digest: Digest): void {
    this.#change(name, usage => { usage.delete(digest) })
  }

  /** Has the repository counted again before anything else is promised. */
  forget (name: RepositoryName): void {
    this.#accounts.delete(name)
  }

  /** What is known without counting. */
  known (): Record<string, number> {
    return Object.fromEntries([...this.#accounts].map(([name, { used }]) => [name, used]))
  }

  #change (name: RepositoryName, change: (usage: Usage) => void): void {
    const account = this.#accounts.peek(name)
    if (account === undefined) return
    account.changes?.push(change)
    change(account.usage)
    account.used = total(account.usage)
  }

  async #account (name: RepositoryName): Promise<Account> {
    let account = this.#accounts.get(name)
    if (account === undefined) {
      account = { usage: new Map(), used: 0, countedAt: -Infinity, promises: new Map(), changes: undefined, counting: undefined }
      this.#accounts.set(name, account)
    }
    const isNew = account.countedAt === -Infinity
    if (account.counting === undefined && this.#now() - account.countedAt >= RECOUNT_MS) account.counting = this.#recount(name, account)
    // Known once, it goes on with what it knows while it is counted again.
    if (isNew) await account.counting
    else account.counting?.catch(() => {})
    return account
  }

  async #recount (name: RepositoryName, account: Account): Promise<void> {
    const changes: Array<(usage: Usage) => void> = []
    account.changes = changes
    const startedAt = this.#now()
    try {
      const usage = await this.#count(name)
      for (const change of changes) change(usage)
      account.usage = usage
      account.used = total(usage)
      account.countedAt = startedAt
      // Its size has changed.
      if (this.#accounts.peek(name) === account) this.#accounts.set(name, account)
    } finally {
      account.changes = undefined
      account.counting = undefined
    }
  }
}

function total (usage: Usage): number {
  let bytes = 0
  for (const size of usage.values()) bytes += size
  return bytes
}
