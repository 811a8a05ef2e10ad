import { Worker } from 'node:worker_threads'
import type { Algorithm } from '../reference/reference.js'

/** A batch of a request body, and one chunk more. */
const SLOT_BYTES = 576 * 1024
/** Two for each of twelve uploads: 13.5 MiB. What finds none is sent as a copy. */
const MAX_SLOTS = 24
/** Bytes that uploads may hold back before it is known whether they are long enough for a thread. */
const MAX_HELD_BACK = 8 * 1024 * 1024
/** A thread that ends by itself this often is not started again. */
const MAX_DEATHS = 3
/** Of the thread's heap, which holds nothing that is large. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 }

/** What the thread is told. Each order gets one answer, in order: digests, or null. */
export type HashOrder =
  { readonly id: number, readonly algorithms: readonly Algorithm[] } |
  { readonly id: number, readonly memory: SharedArrayBuffer } |
  { readonly id: number, readonly slot: number, readonly bytes: number } |
  { readonly id: number, readonly content: Uint8Array } |
  { readonly id: number, readonly digests: true } |
  { readonly id: number, readonly forget: true }

type Answer = readonly string[] | null

/**
 * A thread that hashes, so that the main one can receive meanwhile. It starts with the first upload that is long enough,
 * serves all of them, and keeps no process alive. What it was told can get lost, when it dies; never wrong.
 */
export class HashThread {
  #running: RunningThread | undefined
  #deaths = 0
  #heldBack = 0
  #isClosed = false

  /** Hashes for one upload. Undefined when its bytes have to be hashed where they are. */
  open (algorithms: readonly Algorithm[]): ThreadHashes | undefined {
    if (this.#isClosed || this.#deaths >= MAX_DEATHS) return undefined
    try {
      this.#running ??= new RunningThread(() => {
        this.#running = undefined
        this.#deaths++
      })
    } catch {
      // Not allowed to, or no memory for it: so it will stay.
      this.#deaths = MAX_DEATHS
      return undefined
    }
    return new ThreadHashes(this.#running, algorithms)
  }

  /** Whether so many bytes more may wait for the decision; they are to be given back by `holdBack(-bytes)`. */
  holdBack (bytes: number): boolean {
    if (bytes > 0 && this.#heldBack + bytes > MAX_HELD_BACK) return false
    this.#heldBack += bytes
    return true
  }

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
    this.#id = thread.nextId()
    thread.forgetWith(this, this.#id)
    void thread.order({ id: this.#id, algorithms })
  }

  /** A copy of the bytes that the thread sees too; undefined when there is no room for one. */
  share (chunks: readonly Uint8Array[], bytes: number): Slot | undefined {
    return this.#thread.share(chunks, bytes)
  }

  /** Resolves when they are hashed, to whether they were. */
  async update (slot: Slot): Promise<boolean> {
    const answer = await this.#thread.order({ id: this.#id, slot: slot.index, bytes: slot.content.byteLength })
    slot.release()
    return answer !== undefined
  }

  /** The same with bytes that are copied to the thread. */
  async copy (chunks: readonly Uint8Array[]): Promise<boolean> {
    return await this.#thread.order({ id: this.#id, content: Buffer.concat(chunks) }) !== undefined
  }

  /** In the order of the algorithms, as hex. Undefined when they are lost. */
  async digests (): Promise<readonly string[] | undefined> {
    return await this.#thread.order({ id: this.#id, digests: true }) ?? undefined
  }
}

/** Memory of both threads. Whoever writes it and whoever hashes it gives it back. */
export class Slot {
  readonly index: number
  readonly #memory: Buffer
  readonly #free: (slot: Slot) => void
  #content: Uint8Array
  #users = 0

  constructor (index: number, memory: SharedArrayBuffer, free: (slot: Slot) => void) {
    this.index = index
    this.#memory = Buffer.from(memory)
    this.#content = this.#memory
    this.#free = free
  }

  get content (): Uint8Array {
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
  #isOver = false

  constructor (died: () => void) {
    this.#died = died
    // Nothing of what this process was started with is meant for it.
    this.#worker = new Worker(new URL('hash-worker.js', import.meta.url), { execArgv: [], resourceLimits: LIMITS, name: 'hash' })
    this.#worker.unref()
    this.#worker.on('message', (answer: Answer) => { this.#answered(answer) })
    this.#worker.on('error', () => { this.#over() })
    this.#worker.on('exit', () => { this.#over() })
  }

  nextId (): number {
    return ++this.#ids
  }

  forgetWith (owner: object, id: number): void {
    this.#forgotten.register(owner, id)
  }

  /** Resolves to the answer; to undefined when there will be none. */
  order (order: HashOrder): Promise<Answer | undefined> {
    if (this.#isOver) return Promise.resolve(undefined)
    // Somebody waits: the process must not end for want of anything else to do.
    if (this.#waiting.length === 0) this.#worker.ref()
    this.#worker.postMessage(order)
    return new Promise(resolve => { this.#waiting.push(resolve) })
  }

  share (chunks: readonly Uint8Array[], bytes: number): Slot | undefined {
    if (this.#isOver || bytes > SLOT_BYTES) return undefined
    return (this.#free.pop() ?? this.#newSlot())?.fill(chunks, bytes)
  }

  async end (): Promise<void> {
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
    if (this.#waiting.length === 0) this.#worker.unref()
  }

  #over (): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#died()
    for (const resolve of this.#waiting.splice(0)) resolve(undefined)
  }
}
