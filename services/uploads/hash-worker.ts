import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import type { HashOrder } from './hash-thread.js'

/** The other end of a HashThread: carries out what it is told, one order after the other, each with one answer. */
const hashes = new Map<number, readonly Hash[]>()
const slots = new Map<number, Uint8Array>()

parentPort?.on('message', (order: HashOrder) => { parentPort?.postMessage(carriedOut(order)) })

function carriedOut (order: HashOrder): readonly string[] | null {
  const { id } = order
  if ('algorithms' in order) {
    hashes.set(id, order.algorithms.map(algorithm => createHash(algorithm)))
  } else if ('memory' in order) {
    slots.set(id, new Uint8Array(order.memory))
  } else if ('forget' in order) {
    hashes.delete(id)
  } else if ('digests' in order) {
    return of(hashes, id).map(hash => hash.copy().digest('hex'))
  } else {
    const content = 'slot' in order ? of(slots, order.slot).subarray(0, order.bytes) : order.content
    for (const hash of of(hashes, id)) hash.update(content)
  }
  return null
}

/** What is not there was never announced: the thread ends, and with it all that it hashed. */
function of<T> (known: ReadonlyMap<number, T>, id: number): T {
  const found = known.get(id)
  if (found === undefined) throw new Error(`nothing is known by the number ${id}`)
  return found
}
