import { Worker } from 'node:worker_threads'
import type { Eventually } from '../registry/types.js'
import { resultOf } from './changes.js'
import type { Call, Result } from './changes.js'

/** So many changes in a second are worth a thread; with fewer its memory and waking it up cost more than they give. */
const BUSY = 200
const SECOND_MS = 1000

const FILE = new URL('change-thread-worker.js', import.meta.url)

/**
 * Makes changes on a thread of its own as soon as there are many: more than half of a small push is what the kernel does
 * for names, and meanwhile this thread can see to the next request. They go over in batches, and are made in the order
 * in which they were asked for.
 */
export class ChangeThread {
  readonly #busy: number
  readonly #file: URL
  #worker: Worker | undefined
  #isOnline = false
  /** It ended by itself, or is not needed any more: everything is done here. */
  #isOver = false
  /** What the worker is about to be sent. */
  #batch: Array<readonly Call[]> = []
  /** Who waits for what it was sent, and for what it is about to be. */
  #waiting: Array<(result: Result) => void> = []
  /** Changes in the present second. */
  #counted = 0
  #secondEnds = 0

  /** @param busy changes in a second from which on there is a thread @param file what it runs */
  constructor (busy = BUSY, file = FILE) {
    this.#busy = busy
    this.#file = file
  }

  /** Whether there is a thread, and it is not over. */
  get isRunning (): boolean {
    return this.#isOnline && !this.#isOver
  }

  /** Makes the changes one after the other. The content that they write must not change until then. */
  run (calls: readonly Call[]): Eventually<Result> {
    if (!this.isRunning) {
      this.#count(calls.length)
      return resultOf(calls)
    }
    if (this.#batch.push(calls.map(sendable)) === 1) setImmediate(() => { this.#worker?.postMessage(this.#batch.splice(0)) })
    // Somebody waits: the process must not end because it has nothing else to do.
    if (this.#waiting.length === 0) this.#worker?.ref()
    return new Promise(resolve => { this.#waiting.push(resolve) })
  }

  /** Lets go of the thread, after it has done what it was asked for. */
  async close (): Promise<void> {
    if (this.#waiting.length > 0) await this.run([])
    this.#isOver = true
    await this.#worker?.terminate()
  }

  #count (changes: number): void {
    if (this.#isOver || this.#worker !== undefined) return
    const now = performance.now()
    if (now >= this.#secondEnds) {
      this.#secondEnds = now + SECOND_MS
      this.#counted = 0
    }
    this.#counted += changes
    if (this.#counted < this.#busy) return
    try {
      this.#worker = this.#start()
    } catch {
      // Threads are forbidden, or there is no memory for one.
      this.#isOver = true
    }
  }

  #start (): Worker {
    // What it opens is closed here.
    const worker = new Worker(this.#file, { name: 'changes', env: {}, execArgv: [], trackUnmanagedFds: false, resourceLimits: { maxYoungGenerationSizeMb: 2 } })
    worker.once('online', () => {
      this.#isOnline = true
      worker.unref()
    })
    worker.on('message', (results: readonly Result[]) => {
      for (const [i, resolve] of this.#waiting.splice(0, results.length).entries()) resolve(results[i])
      if (this.#waiting.length === 0) worker.unref()
    })
    worker.once('error', ({ message }) => { this.#end(message) })
    worker.once('exit', () => { this.#end('it ended') })
    return worker
  }

  /** What it was about to do may have been done or not: whoever waits is told so. */
  #end (reason: string): void {
    this.#isOver = true
    this.#batch = []
    for (const resolve of this.#waiting.splice(0)) resolve({ at: 0, code: undefined, message: `the thread that changes files: ${reason}` })
  }
}

/** Of a part of a buffer all of the buffer would be sent. */
function sendable (call: Call): Call {
  return call[0] === 'replace' ? ['replace', call[1], new Uint8Array(call[2]), call[3], call[4]] : call
}
