import { Worker } from 'node:worker_threads'
import { MAX_BATCH_BYTES } from '../http/receive.js'
import type { Algorithm } from '../reference/reference.js'

/** A batch of a request's body; it may be longer by a part of a chunk, which is at most so long. */
const SLOT_BYTES = MAX_BATCH_BYTES + 64 * 1024
/** Two for each of twelve uploads. Whoever finds none sends a copy. */
const MAX_SLOTS = 24
/** Of uploads of which it is not known yet whether they are long. */
const MAX_HELD_BYTES = 8 * 1024 * 1024
/** A thread that ended by itself so often is not started again. */
const MAX_DEATHS = 3
/** Of the thread's heap, in which nothing large lies. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 }
const ENTRY = new URL('hash-worker.js', import.meta.url)

/** What the thread is told. Each order gets one answer, in order: the digests, or null. */
export type HashOrder =
  { readonly id: number, readonly algorithms: readonly Algorithm[] } |
  { readonly id: number, readonly memory: SharedArrayBuffer } |
  { readonly id: number, readonly slot: number, readonly bytes: number } |
  { readonly id: number, readonly content: Uint8Array } |
  { readonly id: number, readonly digests: true } |
  { readonly id: number, readonly forget: true }

type Answer = readonly string[] | null

/**
 * A thread that hashes, so that the main one can receive meanwhile. It starts with the first long upload, serves all of
 * them, and keeps no process alive. If it dies, what it hashed is lost, never wrong.
 */
export class HashThread {
  readonly #entry: URL
  #running: RunningThread | undefined
  #deaths = 0
  #heldBytes = 0
  #isClosed = false

  /** @param entry the module that runs in the thread */
  constructor (entry: URL = ENTRY) {
    this.#entry = entry
  }

  /** Begins to hash an upload. Undefined when that has to be done on the main thread. */
  open (algorithms: readonly Algorithm[]): ThreadHashes | undefined {
    if (this.#isClosed || this.#deaths >= MAX_DEATHS) return undefined
    try {
      this.#running ??= new RunningThread(this.#entry, () => {
        this.#running = undefined
        this.#deaths++
      })
    } catch {
      // Threads are forbidden, or there is no memory for one: that will not change.
      this.#deaths = MAX_DEATHS
      return undefined
    }
    return new ThreadHashes(this.#running, algorithms)
  }

  /** Whether so many bytes more may wait, unhashed, for the decision whether the thread is to have them. */
  hold (bytes: number): boolean {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return false
    this.#heldBytes += bytes
    return true
  }

  /** They do not wait any more. */
  letGo (bytes: number): void {
    this.#heldBytes -= bytes
  }

  /** Uploads that still go on are hashed on the main thread, or read again at their end. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#running?.end()
  }
}

/** The hashes of one upload, in the thread. */
export class ThreadHashes {
  readonly #thread: RunningThread
  readonly #id: number

  constructor (thread: RunningThread, algorithms: readonly Algorithm[]) {
    this.#thread = thread
    this.#id = thread.nextId(this)
    void thread.order({ id: this.#id, algorithms })
  }

  /** Copies bytes to memory that the thread sees too. Undefined when there is no room. */
  share (chunks: readonly Uint8Array[], bytes: number): Slot | undefined {
    return this.#thread.slot(bytes)?.fill(chunks, bytes)
  }

  /** Resolves when a slot is hashed, to whether it was. */
  async update (slot: Slot): Promise<boolean> {
    const answer = await this.#thread.order({ id: this.#id, slot: slot.index, bytes: slot.content.byteLength })
    slot.release()
    return answer !== undefined
  }

  /** The same for bytes that are in no slot. */
  async updateWithCopy (chunks: readonly Uint8Array[]): Promise<boolean> {
    return await this.#thread.order({ id: this.#id, content: Buffer.concat(chunks) }) !== undefined
  }

  /** As hex, in the order of the algorithms. Undefined when they are lost. */
  async digests (): Promise<readonly string[] | undefined> {
    return await this.#thread.order({ id: this.#id, digests: true }) ?? undefined
  }
}

/** Memory that both threads see, used by two in turn with nobody changing it: who writes it to storage, and who hashes it. */
export class Slot {
  readonly index: number
  readonly #memory: Buffer
  readonly #free: (slot: Slot) => void
  #content: Buffer
  #users = 0

  constructor (index: number, memory: SharedArrayBuffer, free: (slot: Slot) => void) {
    this.index = index
    this.#content = this.#memory = Buffer.from(memory)
    this.#free = free
  }

  get content (): Buffer {
    return this.#content
  }

  fill (chunks: readonly Uint8Array[], bytes: number): this {
    let position = 0
    for (const chunk of chunks) {
      this.#memory.set(chunk, position)
      position += chunk.byteLength
    }
    this.#content = this.#memory.subarray(0, bytes)
    this.#users = 2
    return this
  }

  /** To be called by each of the two. */
  release (): void {
    if (--this.#users === 0) this.#free(this)
  }
}

/** One life of the thread. */
class RunningThread {
  readonly #worker: Worker
  readonly #died: () => void
  readonly #waiting: Array<(answer: Answer | undefined) => void> = []
  readonly #free: Slot[] = []
  readonly #forgotten = new FinalizationRegistry<number>(id => { void this.order({ id, forget: true }) })
  #ids = 0
  #slots = 0
  #isEnding = false
  #isOver = false

  constructor (entry: URL, died: () => void) {
    this.#died = died
    // What this process was started with is not meant for it.
    this.#worker = new Worker(entry, { name: 'hashes', env: {}, execArgv: [], resourceLimits: LIMITS })
    this.#worker.unref()
    this.#worker.on('message', (answer: Answer) => { this.#answered(answer) })
    this.#worker.on('error', () => { this.#over() })
    this.#worker.on('exit', () => { this.#over() })
  }

  /** A number that nobody else has; when its owner is no more, the thread forgets it. */
  nextId (owner: object): number {
    const id = ++this.#ids
    this.#forgotten.register(owner, id)
    return id
  }

  /** Resolves to the answer, or to undefined when there will be none. */
  order (order: HashOrder): Promise<Answer | undefined> {
    if (this.#isOver) return Promise.resolve(undefined)
    // Somebody waits: the process must not end because it has nothing else to do.
    if (this.#waiting.length === 0) this.#worker.ref()
    this.#worker.postMessage(order)
    return new Promise(resolve => { this.#waiting.push(resolve) })
  }

  slot (bytes: number): Slot | undefined {
    if (this.#isOver || bytes > SLOT_BYTES) return undefined
    return this.#free.pop() ?? this.#newSlot()
  }

  async end (): Promise<void> {
    this.#isEnding = true
    this.#worker.ref()
    await this.#worker.terminate()
  }

  #newSlot (): Slot | undefined {
    if (this.#slots === MAX_SLOTS) return undefined
    const index = this.#slots++
    const memory = new SharedArrayBuffer(SLOT_BYTES)
    void this.order({ id: index, memory })
    return new Slot(index, memory, slot => { this.#free.push(slot) })
  }

  #answered (answer: Answer): void {
    this.#waiting.shift()?.(answer)
    if (this.#waiting.length === 0 && !this.#isEnding) this.#worker.unref()
  }

  #over (): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#died()
    for (const resolve of this.#waiting.splice(0)) resolve(undefined)
  }
}
