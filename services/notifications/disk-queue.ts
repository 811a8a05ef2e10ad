import type { FileHandle } from 'node:fs/promises'
import { Appends } from './appends.js'
import type { Log } from '../log/log.js'
import { AcknowledgedFile, createSegment, findJournal, readSegment, removeSegment } from './journal-files.js'
import type { Segment } from './journal-files.js'
import { formatRecord, parseRecords } from './journal-record.js'
import type { ParsedRecords } from './journal-record.js'
import { Wakeup } from './queue.js'
import type { EventQueue, QueuedEvent, QueueLimits, Serialized } from './queue.js'

/** When what was written is made to survive a power cut. What the process itself may suffer does not matter to it. */
export type JournalSync = 'always' | 'everysec' | 'never'

export interface DiskQueueOptions {
  readonly directory: string
  readonly limits: QueueLimits
  readonly fsync: JournalSync
  readonly log: Log
}

const SEGMENT_BYTES = 4 * 1024 * 1024
/** How much is read at a time, and how many events wait in memory at most. */
const READ_BYTES = 256 * 1024
const READ_EVENTS = 256

/**
 * A queue in an append-only journal: segments of records, removed when all of a segment is delivered, and a file that
 * says how far that went. What was appended is there again when the process was killed.
 */
export class DiskQueue implements EventQueue {
  readonly isDurable = true
  readonly #options: DiskQueueOptions
  readonly #wakeup = new Wakeup()
  readonly #acknowledged: AcknowledgedFile
  readonly #segments: Segment[]
  readonly #appends: Appends
  #head: number
  #tail: number
  #dropped = 0
  /** Read ahead of the head, oldest first. */
  #ahead: QueuedEvent[] = []
  #reading: { segment: Segment | undefined, position: number } = { segment: undefined, position: 0 }
  #file: FileHandle | undefined
  #syncing: NodeJS.Timeout | undefined
  #isFailing = false

  /** Opens the journal in a directory, or makes one. */
  static async open (options: DiskQueueOptions): Promise<DiskQueue> {
    const found = await findJournal(options.directory)
    return new DiskQueue(options, found, await AcknowledgedFile.open(options.directory, found.head))
  }

  private constructor (options: DiskQueueOptions, { segments, head, tail }: { segments: readonly Segment[], head: number, tail: number }, acknowledged: AcknowledgedFile) {
    this.#options = options
    this.#segments = [...segments]
    this.#head = head
    this.#tail = tail
    this.#acknowledged = acknowledged
    this.#appends = new Appends(options.limits.events, async () => await this.#write())
  }

  get pending (): number {
    return this.#tail - this.#head
  }

  get dropped (): number {
    return this.#dropped + this.#appends.dropped
  }

  async append (events: readonly Serialized[]): Promise<void> {
    await this.#appends.add(events)
  }

  async next (signal: AbortSignal): Promise<QueuedEvent | undefined> {
    while (!signal.aborted) {
      const [entry] = this.#ahead
      if (entry !== undefined && Number(entry.position) < this.#head) this.#ahead.shift()
      else if (entry !== undefined) return entry
      else if (this.#head < this.#tail) await this.#readAhead()
      else await this.#wakeup.wait(signal)
    }
    return undefined
  }

  async acknowledge ({ position }: QueuedEvent): Promise<void> {
    await this.#advance(Number(position) + 1)
  }

  async close (): Promise<void> {
    await this.#appends.settled()
    clearTimeout(this.#syncing)
    if (this.#options.fsync !== 'never') await this.#file?.datasync().catch(() => {})
    await this.#file?.close()
    await this.#acknowledged.close()
    if (this.#head === this.#tail) for (const segment of this.#segments.splice(0)) await removeSegment(segment)
  }

  /** Everything that waits goes to the disk in one write, while more comes in. */
  async #write (): Promise<true> {
    const appends = this.#appends.takeAll()
    const events = appends.flatMap(({ events }) => events)
    await this.#writeEvents(events).then(() => { this.#isFailing = false }, error => { this.#lose(events.length, error) })
    await this.#makeRoom()
    for (const { written } of appends) written()
    this.#wakeup.wake()
    return true
  }

  async #writeEvents (events: readonly Serialized[]): Promise<void> {
    const { segment, file } = await this.#writer()
    const bytes = Buffer.from(events.map(({ json }, i) => formatRecord(this.#tail + i, json)).join(''))
    try {
      await writeAll(file, bytes, segment.bytes)
      if (this.#options.fsync === 'always') await file.datasync()
    } catch (error) {
      // Half a record may be there. No reader of today goes that far; one after the next start would.
      await file.truncate(segment.bytes).catch(() => {})
      await this.#endSegment()
      throw error
    }
    const isRead = this.#reading.segment === segment && this.#reading.position === segment.bytes
    segment.bytes += bytes.length
    // Whoever has read everything is handed what is new.
    if (isRead && this.#ahead.length < READ_EVENTS) {
      this.#ahead.push(...events.map(({ event }, i) => ({ event, position: this.#tail + i })))
      this.#reading.position = segment.bytes
    }
    this.#tail += events.length
    if (this.#options.fsync === 'everysec') this.#syncing ??= setTimeout(() => { this.#syncLater() }, 1000).unref()
  }

  async #writer (): Promise<{ segment: Segment, file: FileHandle }> {
    const last = this.#segments.at(-1)
    if (this.#file !== undefined && last !== undefined && last.bytes < Math.min(SEGMENT_BYTES, this.#options.limits.bytes / 4)) return { segment: last, file: this.#file }
    await this.#endSegment()
    const { segment, file } = await createSegment(this.#options.directory, this.#tail)
    if (this.#segments.at(-1)?.path === segment.path) this.#segments.pop()
    this.#segments.push(segment)
    this.#file = file
    return { segment, file }
  }

  async #endSegment (): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    if (this.#options.fsync !== 'never') await file.datasync().catch(() => {})
    await file.close().catch(() => {})
  }

  #syncLater (): void {
    this.#syncing = undefined
    // A file that was closed meanwhile was synced then.
    this.#file?.datasync().catch(() => {})
  }

  #lose (count: number, error: unknown): void {
    this.#dropped += count
    if (!this.#isFailing) this.#options.log.error({ err: error, directory: this.#options.directory }, 'events cannot be written to their journal and are lost')
    this.#isFailing = true
  }

  /** The oldest have to go when there are too many. */
  async #makeRoom (): Promise<void> {
    const { events, bytes } = this.#options.limits
    let head = Math.max(this.#head, this.#tail - events)
    let total = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
    for (const [i, segment] of this.#segments.slice(0, -1).entries()) {
      if (total <= bytes) break
      total -= segment.bytes
      head = Math.max(head, this.#segments[i + 1]?.first ?? head)
    }
    this.#dropped += head - this.#head
    await this.#advance(head)
  }

  async #advance (head: number): Promise<void> {
    if (head <= this.#head) return
    this.#head = head
    this.#acknowledged.set(head)
    while ((this.#segments[1]?.first ?? Infinity) <= this.#head) {
      const gone = this.#segments.shift()
      if (gone !== undefined) await removeSegment(gone)
    }
  }

  async #readAhead (): Promise<void> {
    // What is not to be delivered any more is gone, and need not be read.
    if (this.#reading.segment === undefined || !this.#segments.includes(this.#reading.segment)) this.#reading = { segment: this.#segments[0], position: 0 }
    const { segment, position } = this.#reading
    if (segment === undefined) return await this.#passOver(this.#tail)
    if (position >= segment.bytes) return await this.#readOn(segment)
    const end = segment.bytes
    const { records, length } = await readRecords(segment, position).catch(() => UNREADABLE)
    // What cannot be read or was cut off is passed over with the rest of its segment.
    this.#reading.position = length === 0 ? end : position + length
    this.#ahead.push(...records.filter(({ index }) => index >= this.#head).map(({ index, event }) => ({ event, position: index })))
  }

  async #readOn (segment: Segment): Promise<void> {
    const next = this.#segments[this.#segments.indexOf(segment) + 1]
    if (next === undefined) return await this.#passOver(this.#tail)
    this.#reading = { segment: next, position: 0 }
  }

  /** Everything that could be read was read: what is missing was damaged on the disk. */
  async #passOver (head: number): Promise<void> {
    const { log, directory } = this.#options
    log.error({ directory, events: head - this.#head }, 'events of the journal cannot be read and are lost')
    this.#dropped += head - this.#head
    await this.#advance(head)
  }
}

const UNREADABLE: ParsedRecords = { records: [], length: 0 }

/** Whole records from there on, at least one if there is one. */
async function readRecords (segment: Segment, position: number): Promise<ParsedRecords> {
  for (let length = READ_BYTES; ; length *= 2) {
    const bytes = await readSegment(segment, position, length)
    const found = parseRecords(bytes)
    // A record that is longer than what was read, unless it is one that was cut off.
    if (found.length > 0 || bytes.length < length) return found
  }
}

async function writeAll (file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}
