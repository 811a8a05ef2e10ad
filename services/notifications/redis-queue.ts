import { randomUUID } from 'node:crypto'
import { Appends } from './appends.js'
import type { Clock } from './delivery.js'
import type { RegistryEvent } from './event.js'
import type { Log } from '../log/log.js'
import { Wakeup } from './queue.js'
import type { EventQueue, QueuedEvent, QueueLimits, Serialized } from './queue.js'
import { RENEW_MS, RedisLease } from './redis-lease.js'

/** What of a Redis client is needed. */
export interface RedisCommands {
  call (command: string, ...args: Array<string | number>): Promise<unknown>
}

export interface RedisQueueOptions {
  readonly redis: RedisCommands
  /** Of the endpoint: all servers that have it share its queue. */
  readonly name: string
  readonly limits: QueueLimits
  readonly clock: Clock
  readonly log: Log
}

type StreamEntry = [id: string, fields: string[] | null]

const GROUP = 'oci-registry'
/** One name for all: only who holds the lease reads, and what another one had read before belongs to it then. */
const CONSUMER = 'leaseholder'
const READ_EVENTS = 64
const POLL_MS = 500
const RETRY_MS = 500

/**
 * A queue in a Redis stream that several servers share. One of them at a time, by a lease, reads and delivers, so the
 * order holds; when it is gone another one takes up what it had not acknowledged. While Redis is away, what is new waits
 * in memory.
 */
export class RedisQueue implements EventQueue {
  readonly isDurable = true
  readonly #options: RedisQueueOptions
  readonly #key: string
  readonly #lease: RedisLease
  readonly #appends: Appends
  readonly #wakeup = new Wakeup()
  readonly #stop = new AbortController()
  #ahead: QueuedEvent[] = []
  /** Where to read on: first what an earlier holder of the lease left, then (`>`) what nobody has read. */
  #after = '0'
  #length = 0
  #dropped = 0
  #isDown = false

  constructor (options: RedisQueueOptions) {
    this.#options = options
    // The braces keep both keys on one node of a cluster.
    this.#key = `oci-registry:notifications:{${options.name}}`
    this.#lease = new RedisLease({ redis: options.redis, key: `${this.#key}:lease`, holder: randomUUID(), clock: options.clock })
    this.#appends = new Appends(options.limits.events, async () => await this.#write())
    void this.#keepLease()
  }

  get pending (): number {
    return this.#length + this.#appends.pending
  }

  get dropped (): number {
    return this.#dropped + this.#appends.dropped
  }

  async append (events: readonly Serialized[]): Promise<void> {
    await this.#appends.add(events)
  }

  async next (signal: AbortSignal): Promise<QueuedEvent | undefined> {
    while (!signal.aborted) {
      const entry = await this.#tried(async () => await this.#head())
      if (entry !== undefined) return entry
      await this.#wakeup.wait(signal, POLL_MS)
    }
    return undefined
  }

  async acknowledge ({ position }: QueuedEvent): Promise<void> {
    if (this.#ahead[0]?.position === position) this.#ahead.shift()
    await this.#tried(async () => {
      // Both or, at worst, the first: an entry that stays in the stream is delivered once more after the next change.
      await this.#call('XACK', this.#key, GROUP, position)
      this.#length = Math.max(0, this.#length - Number(await this.#call('XDEL', this.#key, position)))
    })
  }

  /** What Redis could not be given is lost, unless it comes back in time. */
  async close (): Promise<void> {
    this.#stop.abort()
    await this.#appends.settled()
    const { pending } = this.#appends
    const { log, name } = this.#options
    if (pending > 0) log.warn({ endpoint: name, pending }, `notifications: ${pending} events for ${name} could not be stored in redis and are lost`)
    await this.#lease.release()
  }

  async #write (): Promise<boolean> {
    const { first } = this.#appends
    if (first !== undefined && await this.#tried(async () => await this.#add(first.events)) === true) {
      this.#appends.done(first)
      this.#wakeup.wake()
      return true
    }
    if (!this.#stop.signal.aborted) await this.#options.clock.sleep(RETRY_MS, this.#stop.signal)
    return !this.#stop.signal.aborted
  }

  async #add (events: readonly Serialized[]): Promise<true> {
    for (const { json } of events) await this.#call('XADD', this.#key, '*', 'event', json)
    this.#dropped += Number(await this.#call('XTRIM', this.#key, 'MAXLEN', this.#options.limits.events))
    this.#length = Number(await this.#call('XLEN', this.#key))
    return true
  }

  async #head (): Promise<QueuedEvent | undefined> {
    if (!await this.#hold()) {
      this.#length = Number(await this.#call('XLEN', this.#key))
      return undefined
    }
    while (this.#ahead.length === 0 && await this.#read() > 0);
    return this.#ahead[0]
  }

  /** How many entries were found. */
  async #read (): Promise<number> {
    const entries = await this.#entries()
    this.#length = Number(await this.#call('XLEN', this.#key))
    const last = entries.at(-1)
    if (last === undefined) {
      if (this.#after === '>') return 0
      this.#after = '>'
      return await this.#read()
    }
    if (this.#after !== '>') this.#after = last[0]
    // One that had to make room is known to the group, and has no fields.
    for (const [id, fields] of entries) {
      if (fields === null || fields.length === 0) await this.#call('XACK', this.#key, GROUP, id)
      else this.#ahead.push({ event: JSON.parse(fields[1] ?? '') as RegistryEvent, position: id })
    }
    return entries.length
  }

  async #entries (): Promise<StreamEntry[]> {
    try {
      return entriesOf(await this.#call('XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', READ_EVENTS, 'STREAMS', this.#key, this.#after))
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOGROUP')) throw error
      // The first time, or somebody emptied the database.
      await this.#call('XGROUP', 'CREATE', this.#key, GROUP, '0', 'MKSTREAM')
      return []
    }
  }

  /** What was read under an earlier lease may have been delivered by somebody else since. */
  async #hold (): Promise<boolean> {
    const held = await this.#lease.hold()
    if (held !== 'held') {
      this.#ahead = []
      this.#after = '0'
    }
    return held !== 'lost'
  }

  /** While an attempt takes long, nobody else is to begin. */
  async #keepLease (): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#options.clock.sleep(RENEW_MS, signal)
      if (!signal.aborted && this.#lease.isHeld) await this.#tried(async () => await this.#hold())
    }
  }

  async #call (command: string, ...args: Array<string | number>): Promise<unknown> {
    return await this.#options.redis.call(command, ...args)
  }

  /** Undefined when Redis failed, which is said once. */
  async #tried<T> (run: () => Promise<T>): Promise<T | undefined> {
    const { log, name } = this.#options
    try {
      const result = await run()
      if (this.#isDown) log.info({ endpoint: name }, 'notifications: redis is there again')
      this.#isDown = false
      return result
    } catch (error) {
      if (!this.#isDown) log.warn({ err: error, endpoint: name }, 'notifications: redis is not available; events wait in memory')
      this.#isDown = true
      return undefined
    }
  }
}

/** The answer of XREADGROUP for one stream: a list in RESP2, a map in RESP3, nothing when there is nothing. */
function entriesOf (answer: unknown): StreamEntry[] {
  if (answer === null || answer === undefined) return []
  if (answer instanceof Map) return [...answer.values()][0] as StreamEntry[]
  if (!Array.isArray(answer)) return Object.values(answer as Record<string, StreamEntry[]>)[0] ?? []
  const [stream] = answer as Array<[string, StreamEntry[]]>
  return Array.isArray(stream) ? stream[1] : answer[1] as StreamEntry[]
}
