import { LRUCache } from 'lru-cache'
import type { RedisConnection } from '../redis/connection.js'
import type { Workers } from '../workers/workers.js'

/** What a client has done in the interval that is running. */
export interface RequestCount {
  readonly count: number
  /** Milliseconds until it begins anew. */
  readonly resetMs: number
}

export interface RequestCountsParts {
  readonly intervalMs: number
  readonly workers: Pick<Workers, 'ask' | 'serve'>
  readonly redis?: RedisConnection | undefined
  /** Milliseconds that only go forward. */
  readonly now?: () => number
}

const TOPIC = 'limits.requests'
/** About 5 MB; of more clients than that those are forgotten that were silent longest. */
const MAX_CLIENTS = 20_000

/** A key that lost its time to live, as a crash of Redis between two commands cannot but an operator can make it, gets one. */
const COUNT = `
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}`

/**
 * Counts requests by client, in intervals that begin with a client's first request. All servers that share a Redis
 * count together; without one, or while it is away, all processes of this server do, in the leader.
 */
export class RequestCounts {
  readonly #parts: RequestCountsParts
  readonly #now: () => number
  readonly #counts = new LRUCache<string, { count: number, until: number }>({ max: MAX_CLIENTS })

  constructor (parts: RequestCountsParts) {
    this.#parts = parts
    this.#now = parts.now ?? (() => performance.now())
    parts.workers.serve(TOPIC, client => this.#count(client as string))
  }

  /** Counts one more. Rejects only when the leader is gone. */
  async add (client: string): Promise<RequestCount> {
    const { redis, workers } = this.#parts
    if (redis !== undefined) {
      try {
        return await this.#inRedis(redis, client)
      } catch {
        // The connection has logged it.
      }
    }
    return await workers.ask(TOPIC, client) as RequestCount
  }

  async #inRedis (redis: RedisConnection, client: string): Promise<RequestCount> {
    const { intervalMs } = this.#parts
    const answer = await redis.run(async connection => await connection.call('EVAL', COUNT, 1, `oci-registry:limits:${intervalMs}:${client}`, intervalMs))
    const [count, resetMs] = (answer as unknown[]).map(Number) as [number, number]
    return { count, resetMs }
  }

  #count (client: string): RequestCount {
    const now = this.#now()
    let entry = this.#counts.get(client)
    if (entry === undefined || entry.until <= now) {
      entry = { count: 0, until: now + this.#parts.intervalMs }
      this.#counts.set(client, entry)
    }
    entry.count++
    return { count: entry.count, resetMs: entry.until - now }
  }
}
