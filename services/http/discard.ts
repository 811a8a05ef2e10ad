import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { MessageChannel } from 'node:worker_threads'

/** Nobody is at the other end: what is moved there is gone at once. */
const nowhere = closedPort()

/**
 * Frees the memory of chunks that came from `source` and that nobody needs any more. Left to the garbage collector,
 * a long body has it collect everything, again and again, and needs tens of megabytes meanwhile. Chunks that somebody else
 * might have, or that share their memory, are left alone.
 */
export function discard (source: Readable, chunks: readonly Buffer[]): void {
  if (!isAlone(source)) return
  const memory: ArrayBuffer[] = []
  for (const { buffer, byteLength } of chunks) {
    if (byteLength === buffer.byteLength && byteLength > 0 && buffer instanceof ArrayBuffer) memory.push(buffer)
  }
  if (memory.length === 0) return
  try {
    nowhere.postMessage(undefined, memory)
  } catch {
    // Memory that must not be moved is left to the collector.
  }
}

/** Node makes a buffer for each chunk that it takes from a connection; it is ours if nobody else listens. */
function isAlone (source: Readable): boolean {
  return source instanceof IncomingMessage && source.socket instanceof Socket && source.listenerCount('data') === 1
}

function closedPort (): MessageChannel['port1'] {
  const { port1 } = new MessageChannel()
  port1.close()
  return port1
}
