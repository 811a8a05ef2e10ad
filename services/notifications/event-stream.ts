import { Readable } from 'node:stream'
import picomatch from 'picomatch'
import type { EventAction } from './event.js'
import type { Serialized } from './queue.js'

/** What a reader wants to hear of. Empty lists mean everything. */
export interface StreamFilter {
  /** Patterns such as `team/**`. */
  readonly repositories: readonly string[]
  readonly actions: readonly EventAction[]
}

interface Reader {
  readonly output: Readable
  readonly wants: (event: Serialized) => boolean
  /** How far it may fall behind, in bytes. */
  behind: number
}

const BEHIND_BYTES = 1024 * 1024
/** What is kept for readers that come back. */
const LATEST_BYTES = 8 * 1024 * 1024
const HEARTBEAT_MS = 15_000

/**
 * Events as server-sent events, as they happen. The latest ones are kept, so that a reader that was cut off goes on
 * where it was; one that is too slow is cut off.
 */
export class EventStream {
  readonly #limit: number
  readonly #readers = new Set<Reader>()
  /** The latest events by id, oldest first. */
  readonly #latest = new Map<string, Serialized>()
  #latestBytes = 0
  #heartbeat: NodeJS.Timeout | undefined
  #isClosed = false

  constructor (limit: number) {
    this.#limit = limit
  }

  get readers (): number {
    return this.#readers.size
  }

  publish (events: readonly Serialized[]): void {
    for (const event of events) {
      // Handed over by a process that could not know whether it was taken: once is enough.
      if (this.#latest.has(event.event.id)) continue
      this.#keep(event)
      for (const reader of this.#readers) if (reader.wants(event)) this.#write(reader, format(event))
    }
  }

  /**
   * A stream of everything from now on, or after the event that the reader had last. When that is not kept any more, all
   * that is kept comes after an event `gap`. Undefined when the registry is closing.
   */
  open (filter: StreamFilter, lastId: string | undefined): Readable | undefined {
    if (this.#isClosed) return undefined
    const reader: Reader = { output: new Readable({ read () {} }), wants: matcher(filter), behind: BEHIND_BYTES }
    this.#readers.add(reader)
    reader.output.once('close', () => { this.#remove(reader) })
    this.#beat()
    // The head of the answer goes out with the first bytes.
    this.#write(reader, ': the events of this registry\n\n')
    if (lastId !== undefined && lastId !== '') this.#resume(reader, lastId)
    return reader.output
  }

  /** Ends all streams. */
  close (): void {
    this.#isClosed = true
    for (const { output } of this.#readers) output.push(null)
  }

  /** Shows whether readers are still there, to us and to proxies. */
  #beat (): void {
    this.#heartbeat ??= setTimeout(() => {
      this.#heartbeat = undefined
      for (const reader of this.#readers) this.#write(reader, ': \n\n')
      if (this.#readers.size > 0) this.#beat()
    }, HEARTBEAT_MS).unref()
  }

  #keep (event: Serialized): void {
    this.#latest.set(event.event.id, event)
    this.#latestBytes += event.json.length
    for (const [id, { json }] of this.#latest) {
      if (this.#latest.size <= this.#limit && this.#latestBytes <= LATEST_BYTES) return
      this.#latest.delete(id)
      this.#latestBytes -= json.length
    }
  }

  #resume (reader: Reader, lastId: string): void {
    const latest = [...this.#latest.values()]
    const at = latest.findIndex(({ event: { id } }) => id === lastId)
    if (at === -1) this.#write(reader, `event: gap\ndata: ${JSON.stringify({ after: lastId })}\n\n`)
    const missed = latest.slice(at + 1).filter(reader.wants).map(format).join('')
    // It could not have read that yet.
    reader.behind += Buffer.byteLength(missed)
    this.#write(reader, missed)
  }

  #write (reader: Reader, text: string): void {
    if (reader.output.destroyed || text === '') return
    if (reader.output.readableLength > reader.behind) reader.output.destroy(new SlowReader())
    else if (!this.#isClosed) reader.output.push(text)
  }

  #remove (reader: Reader): void {
    this.#readers.delete(reader)
    if (this.#readers.size > 0) return
    clearTimeout(this.#heartbeat)
    this.#heartbeat = undefined
  }
}

/** Whoever reads the stream does not keep up. */
export class SlowReader extends Error {
  constructor () {
    super('a reader of the event stream is too slow and was cut off')
    this.name = 'SlowReader'
  }
}

function matcher ({ repositories, actions }: StreamFilter): (event: Serialized) => boolean {
  const matches = repositories.length === 0 ? () => true : picomatch([...repositories])
  return ({ event: { action, target } }) => (actions.length === 0 || actions.includes(action)) && matches(target.repository)
}

function format ({ event: { id, action }, json }: Serialized): string {
  return `id: ${id}\nevent: ${action}\ndata: ${json}\n\n`
}
