import type { BaseLogger } from 'pino'

/** What of an ioredis client is used, of any version that a host may have: a single server, a sentinel's or a cluster. */
export interface RedisClient {
  readonly status: string
  call (command: string, ...args: Array<string | number>): Promise<unknown>
  on (event: 'ready', listener: () => void): unknown
  off (event: 'ready', listener: () => void): unknown
}

export type RedisLog = Pick<BaseLogger, 'warn' | 'info'>

export interface RedisConnectionParts {
  readonly client: RedisClient
  /** How long a command may take. */
  readonly timeoutMs: number
  /** Operations under way at a time; one more is refused. */
  readonly maxActive: number
  readonly log?: RedisLog | undefined
  /** Milliseconds that only go forward. */
  readonly now?: () => number
}

/** After Redis failed it is left alone for this long; then one operation tries it. */
const PAUSE_MS = 1000

/** Redis is out of reach, too slow or too busy. It was logged already. */
export class RedisUnavailable extends Error {
  constructor (reason: string, options?: { cause?: unknown }) {
    super(`redis is not available: ${reason}`, options)
    this.name = 'RedisUnavailable'
  }
}

/**
 * Redis as something that may be gone at any time. An operation is refused at once when there is no connection, when
 * Redis failed a moment ago or too many operations are under way, and given up when it takes too long: nothing waits
 * in line for a server that is away. An outage is logged once, when it begins and when it ends.
 */
export class RedisConnection {
  readonly #client: RedisClient
  readonly #timeoutMs: number
  readonly #maxActive: number
  readonly #log: RedisLog | undefined
  readonly #now: () => number
  readonly #listeners: Array<() => void> = []
  #active = 0
  #isDown = false
  #isFull = false
  #pausedUntil = 0

  constructor ({ client, timeoutMs, maxActive, log, now = () => performance.now() }: RedisConnectionParts) {
    this.#client = client
    this.#timeoutMs = timeoutMs
    this.#maxActive = maxActive
    this.#log = log
    this.#now = now
  }

  /** Operations under way. */
  get active (): number {
    return this.#active
  }

  /** @throws {RedisUnavailable}, or what Redis answered to a command it refused */
  async run<T> (operation: (client: RedisClient) => Promise<T>): Promise<T> {
    this.#admit()
    this.#active++
    try {
      const result = await within(operation(this.#client), this.#timeoutMs)
      this.#worked()
      return result
    } catch (error) {
      if (isReply(error)) throw error
      throw this.#failed(error instanceof Error ? error.message : String(error), error)
    } finally {
      if (--this.#active === 0) this.#isFull = false
    }
  }

  /** @throws {RedisUnavailable} */
  async ping (): Promise<void> {
    await this.run(async client => await client.call('PING'))
  }

  /** Calls `handler` whenever the connection has been made. */
  onReady (handler: () => void): void {
    this.#client.on('ready', handler)
    this.#listeners.push(handler)
  }

  /** Lets go of the client, which may be used by others. */
  close (): void {
    for (const listener of this.#listeners) this.#client.off('ready', listener)
  }

  #admit (): void {
    if (this.#client.status !== 'ready') throw this.#failed('not connected')
    if (this.#isDown) {
      if (this.#now() < this.#pausedUntil) throw new RedisUnavailable('it failed a moment ago')
      // This one tries; the others go on without.
      this.#pausedUntil = this.#now() + PAUSE_MS
    }
    if (this.#active < this.#maxActive) return
    if (!this.#isFull) this.#log?.warn({ maxactive: this.#maxActive }, 'redis is busy, going on without it')
    this.#isFull = true
    throw new RedisUnavailable(`${this.#maxActive} operations are under way`)
  }

  #worked (): void {
    if (!this.#isDown) return
    this.#isDown = false
    this.#log?.info('redis answers again')
  }

  #failed (reason: string, cause?: unknown): RedisUnavailable {
    if (!this.#isDown) this.#log?.warn(`redis is not available, going on without it: ${reason}`)
    this.#isDown = true
    // Without a connection there is nothing to wait for: it is used as soon as it is made.
    this.#pausedUntil = cause === undefined ? 0 : this.#now() + PAUSE_MS
    return new RedisUnavailable(reason, { cause })
  }
}

/** Redis answered, and what it said is that it will not. */
function isReply (error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

async function within<T> (operation: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`no answer within ${ms} ms`)) }, ms)
  })
  try {
    return await Promise.race([operation, late])
  } finally {
    clearTimeout(timer)
  }
}
