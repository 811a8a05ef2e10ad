import { Readable } from 'node:stream'
import type { FlatStore, StoredBody } from './flat-store.js'

/** How often in a row a broken connection is made again without a byte having come. */
const MAX_ATTEMPTS = 4
/** What may have come and not been read yet: so much that store and client seldom wait for each other. */
const BUFFERED_BYTES = 1024 * 1024

export interface ResumedStreamParts {
  readonly body: Readable
  /** Bytes the body has. */
  readonly length: number
  /** Asks for the same object again, without its first `skipped` bytes of ours. */
  readonly reopen: (skipped: number, signal: AbortSignal) => Promise<Readable>
  readonly wrap: (error: unknown) => Error
}

/**
 * The body of an answer of the store. A connection that breaks is made again where it broke, so that a reader sees
 * either all the bytes or an error, and never the store's trouble. Destroying it ends the request to the store.
 */
export class ResumedStream extends Readable {
  readonly #parts: ResumedStreamParts
  readonly #abort = new AbortController()
  #body: Readable | undefined
  #received = 0
  #attempts = 0
  #isWanted = false

  constructor (parts: ResumedStreamParts) {
    super({ highWaterMark: BUFFERED_BYTES })
    this.#parts = parts
    this.#attach(parts.body)
  }

  override _read (): void {
    this.#isWanted = true
    this.#body?.resume()
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#abort.abort()
    this.#body?.destroy()
    callback(error)
  }

  #attach (body: Readable): void {
    this.#body = body
    let isOver = false
    const over = (error?: Error): void => {
      if (isOver || this.destroyed) return
      isOver = true
      if (this.#received < this.#parts.length) void this.#again(error ?? new Error('the store closed the connection'))
      else this.push(null)
    }
    body.on('data', (chunk: Buffer) => {
      this.#received += chunk.length
      this.#attempts = 0
      if (this.push(chunk)) return
      this.#isWanted = false
      body.pause()
    })
    body.on('end', () => { over() }).on('close', () => { over() }).on('error', over)
    if (!this.#isWanted) body.pause()
  }

  async #again (error: Error): Promise<void> {
    this.#body?.destroy()
    try {
      if (++this.#attempts > MAX_ATTEMPTS) throw error
      const body = await this.#parts.reopen(this.#received, this.#abort.signal)
      if (this.destroyed) body.on('error', () => {}).destroy()
      else this.#attach(body)
    } catch (failure) {
      this.destroy(this.#parts.wrap(failure))
    }
  }
}

/** The body of an object of which the first `start` bytes were not asked for. */
export function storedStream (store: Pick<FlatStore, 'get'>, key: string, { body, size, etag }: StoredBody, { start, wrap }: { readonly start: number, readonly wrap: (error: unknown) => Error }): Readable {
  return new ResumedStream({
    body,
    length: size,
    reopen: async (skipped, signal) => {
      const range = `bytes=${start + skipped}-${start + size - 1}`
      return (await store.get(key, { range, etag, signal })).body
    },
    wrap
  })
}
