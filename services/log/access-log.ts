import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AccessFormat, ServedRequest } from './access-line.js'
import { ATOMIC_BYTES } from './line-output.js'
import type { Log } from './log.js'

/** What may wait for a reader that is slow. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024

export interface AccessLogOptions {
  readonly format: AccessFormat
  /** Where the lines go: standard output, or what a host gives. */
  readonly stream: Pick<Writable, 'write' | 'on'>
  /** Where it is said that lines are lost. */
  readonly log: Log
  readonly maxWaitingBytes?: number
}

/**
 * A line for every request that is over. Nobody waits for it: lines of one turn of the event loop become one write, and
 * what a slow reader does not take waits, up to a bound, beyond which lines are lost, and said to be. A reader that is
 * gone is no reason to serve nothing.
 */
export class AccessLog {
  readonly #options: AccessLogOptions
  readonly #maxWaitingBytes: number
  /** Lines that are not in a chunk yet. */
  #lines = ''
  #lineBytes = 0
  #chunks: string[] = []
  #waitingBytes = 0
  #isWriting = false
  #isScheduled = false
  #isBroken = false
  #isFailing = false
  #lost = 0
  #whenEmpty: () => void = () => {}

  constructor (options: AccessLogOptions) {
    this.#options = options
    this.#maxWaitingBytes = options.maxWaitingBytes ?? MAX_WAITING_BYTES
    options.stream.on('error', (error: NodeJS.ErrnoException) => { this.#fail(error) })
  }

  add (request: ServedRequest): void {
    if (this.#isBroken) return
    if (this.#waitingBytes >= this.#maxWaitingBytes) return this.#lose()
    const line = this.#options.format(request, Date.now())
    const bytes = Buffer.byteLength(line)
    if (this.#lineBytes + bytes > ATOMIC_BYTES) this.#cut()
    this.#lines += line
    this.#lineBytes += bytes
    this.#waitingBytes += bytes
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#cut()
      this.#write()
    })
  }

  /** Waits until all lines are written, no longer than that. False if some are not. */
  async close (ms: number): Promise<boolean> {
    this.#cut()
    this.#write()
    if (this.#isEmpty) return true
    const controller = new AbortController()
    await Promise.race([
      new Promise<void>(resolve => { this.#whenEmpty = resolve }),
      sleep(ms, undefined, { signal: controller.signal }).catch(() => {})
    ])
    controller.abort()
    if (!this.#isEmpty) this.#options.log.warn('access log: lines are lost: its reader is too slow')
    return this.#isEmpty
  }

  /** Writes what waits with a function that does not wait either; for the end of a process that does not close. */
  flushSync (write: (text: string) => void): void {
    this.#cut()
    // Behind a write that is not over it would come too early; whoever reads so slowly does not read to the end.
    if (this.#isWriting || this.#isBroken) return
    for (const chunk of this.#take()) write(chunk)
  }

  get #isEmpty (): boolean {
    return this.#isBroken || (!this.#isWriting && this.#chunks.length === 0)
  }

  #cut (): void {
    if (this.#lines !== '') this.#chunks.push(this.#lines)
    this.#lines = ''
    this.#lineBytes = 0
  }

  #take (): string[] {
    const chunks = this.#chunks
    this.#chunks = []
    return chunks
  }

  /** One after the other: the stream would put together what it has to keep. */
  #write (): void {
    if (this.#isWriting || this.#isBroken) return
    const chunks = this.#take()
    let next = 0
    const step = (): void => {
      const chunk = chunks[next++]
      if (chunk === undefined || this.#isBroken) return this.#written()
      this.#isWriting = true
      this.#options.stream.write(chunk, error => {
        this.#waitingBytes -= Buffer.byteLength(chunk)
        if (error === undefined || error === null) this.#isFailing = false
        else this.#fail(error)
        step()
      })
    }
    step()
  }

  #written (): void {
    this.#isWriting = false
    if (this.#chunks.length > 0) return this.#write()
    if (this.#lost > 0) this.#options.log.warn({ lines: this.#lost }, 'access log: its reader goes on; lines were lost')
    this.#lost = 0
    this.#whenEmpty()
  }

  #lose (): void {
    if (this.#lost++ === 0) this.#options.log.warn('access log: lines are lost: its reader is too slow')
  }

  /** A reader that is gone does not come back. What else goes wrong, such as a full disk, may be over with the next line. */
  #fail ({ code = '', message }: NodeJS.ErrnoException): void {
    if (this.#isBroken) return
    if (!GONE.has(code)) {
      // Said by the stream as well as to whoever wrote, and again for each write.
      if (!this.#isFailing) this.#options.log.warn(`access log: lines are lost: ${message}`)
      this.#isFailing = true
      return
    }
    this.#isBroken = true
    this.#take()
    this.#lines = ''
    this.#options.log.warn(`access log: nobody reads it any more (${message}); nothing is written to it from now on`)
    this.#whenEmpty()
  }
}

const GONE: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END', 'EBADF'])
