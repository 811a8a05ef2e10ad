import { mkdir, open, readFile, readdir, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { formatAcknowledged, parseAcknowledged, parseRecords } from './journal-record.js'

/** One file of a journal. Named after the first record that may be in it. */
export interface Segment {
  readonly first: number
  readonly path: string
  /** Of what is known to be whole: a reader goes no further. */
  bytes: number
}

/** What was found in a directory. */
export interface FoundJournal {
  readonly segments: readonly Segment[]
  /** The next record to deliver, and the next to write. */
  readonly head: number
  readonly tail: number
}

const NAME = /^(\d{16})\.log$/
const ACKNOWLEDGED = 'acknowledged'

/** Finds what an earlier process left; the last record may be cut off, and is then none. */
export async function findJournal (directory: string): Promise<FoundJournal> {
  await mkdir(directory, { recursive: true })
  const names = (await readdir(directory)).filter(name => NAME.test(name)).sort()
  const segments = await Promise.all(names.map(async (name): Promise<Segment> => {
    const path = join(directory, name)
    return { first: Number(name.slice(0, 16)), path, bytes: (await stat(path)).size }
  }))
  const acknowledged = parseAcknowledged(await readFile(join(directory, ACKNOWLEDGED), 'utf8').catch(() => '')) ?? 0
  const last = segments.at(-1)
  const written = last === undefined ? 0 : (parseRecords(await readFile(last.path)).records.at(-1)?.index ?? last.first - 1) + 1
  const tail = Math.max(acknowledged, written)
  return { segments, tail, head: Math.min(tail, Math.max(acknowledged, segments[0]?.first ?? tail)) }
}

/** A new segment, empty: if there is one of this name, no record in it is whole. */
export async function createSegment (directory: string, first: number): Promise<{ segment: Segment, file: FileHandle }> {
  const path = join(directory, `${String(first).padStart(16, '0')}.log`)
  const file = await open(path, 'w')
  await syncDirectory(directory)
  return { segment: { first, path, bytes: 0 }, file }
}

/** Not every file system can do that; those that cannot need not be told. */
async function syncDirectory (directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

/** One that cannot be removed is found again after the next start, and passed over. */
export async function removeSegment ({ path }: Segment): Promise<void> {
  await rm(path, { force: true }).catch(() => {})
}

/** Part of a segment. Shorter than asked for at the end of what is whole. */
export async function readSegment ({ path, bytes }: Segment, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, bytes - position)))
  const file = await open(path, 'r')
  try {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Remembers what was delivered; only the last call of several at a time is written. */
export class AcknowledgedFile {
  readonly #file: FileHandle
  #index: number
  #written: number
  #writing: Promise<void> | undefined

  static async open (directory: string, index: number): Promise<AcknowledgedFile> {
    const path = join(directory, ACKNOWLEDGED)
    // Not truncated: until the first write it says what it said.
    const file = await open(path, 'r+').catch(async () => await open(path, 'w+'))
    return new AcknowledgedFile(file, index)
  }

  private constructor (file: FileHandle, index: number) {
    this.#file = file
    this.#index = index
    this.#written = index
  }

  set (index: number): void {
    this.#index = index
    if (index !== this.#written) this.#writing ??= this.#write()
  }

  /** Writes what is outstanding. Failing that, events are delivered once more after the next start. */
  async close (): Promise<void> {
    await this.#writing
    await this.#file.sync().catch(() => {})
    await this.#file.close()
  }

  async #write (): Promise<void> {
    while (this.#written !== this.#index) {
      const index = this.#index
      await this.#file.write(formatAcknowledged(index), 0).catch(() => {})
      this.#written = index
    }
    this.#writing = undefined
  }
}
