import type { Readable } from 'node:stream'

// Both bounds keep memory flat: the first for fast clients, the second for clients that send a byte at a time, where
// each chunk is an object of its own.
const MAX_BATCH_BYTES = 512 * 1024
const MAX_BATCH_CHUNKS = 256

export interface ReceiveOptions {
  /** Takes a batch; the next batch comes when the promise has resolved, while the network fills it. */
  readonly sink: (chunks: Buffer[]) => Promise<void>
  /** Called for every piece that arrives. */
  readonly heard?: () => void
  /** Ends the reception with the signal's reason, for instance when another request takes over. */
  readonly signal?: AbortSignal
}

/** The client went away before its body was complete. What arrived until then was passed on. */
export class ClientAborted extends Error {
  constructor (cause?: unknown) {
    super('client closed the connection before the body was complete', { cause })
    this.name = 'ClientAborted'
  }
}

/**
 * Reads a request body to its end in batches of whatever arrived while the previous batch was being handled. Unlike
 * `pipeline` or `for await` it never destroys the source, because the source is the socket that must still carry the
 * answer, and it hands over everything that arrived before a failure. Memory: at most two batches.
 *
 * @throws {ClientAborted} when the body ends early; whatever `sink` or the signal throws otherwise.
 */
export async function receive (source: Readable, { sink, heard, signal }: ReceiveOptions): Promise<void> {
  let chunks: Buffer[] = []
  let bytes = 0
  let ended = source.readableEnded && !isAborted(source)
  let failure: Error | undefined = !ended && (source.destroyed || isAborted(source)) ? new ClientAborted() : undefined
  let wake: (() => void) | undefined

  const notify = (): void => { wake?.() }
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= MAX_BATCH_BYTES || chunks.length >= MAX_BATCH_CHUNKS) source.pause()
    heard?.()
    notify()
  }
  const onEnd = (): void => { ended = !isAborted(source); notify() }
  const onError = (error: Error): void => { failure ??= new ClientAborted(error); notify() }
  const onClose = (): void => { if (!ended) failure ??= new ClientAborted(); notify() }

  source.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
  signal?.addEventListener('abort', notify)
  source.resume()
  try {
    for (;;) {
      if (signal?.aborted === true) throw signal.reason
      if (chunks.length > 0) {
        const batch = chunks
        chunks = []
        bytes = 0
        source.resume()
        await sink(batch)
      } else if (failure !== undefined) {
        throw failure
      } else if (ended) {
        return
      } else {
        await new Promise<void>(resolve => { wake = resolve })
        wake = undefined
      }
    }
  } finally {
    source.pause()
    source.off('data', onData).off('end', onEnd).off('close', onClose)
    // The error listener stays: a reset that arrives later must not become an uncaught exception.
    signal?.removeEventListener('abort', notify)
  }
}

/** HTTP/2 lets a request whose stream was reset end like a complete one; only this tells them apart. */
function isAborted (source: Readable): boolean {
  return 'aborted' in source && source.aborted === true
}
