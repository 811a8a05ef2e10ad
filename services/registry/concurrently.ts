import type { Eventually } from './types.js'

/** Storage calls one request may have under way at a time. */
const LIMIT = 16

/** Runs `operation` on every item, at most `limit` at a time; results in the order of the items. */
export async function concurrently<T, R> (items: readonly T[], operation: (item: T) => Eventually<R>, limit = LIMIT): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      try {
        const result = operation(items[index] as T)
        results[index] = result instanceof Promise ? await result : result
      } catch (error) {
        next = items.length // nobody waits for the rest any more
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  return results
}
