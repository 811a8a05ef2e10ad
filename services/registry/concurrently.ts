/** Storage calls one request may have under way at a time. */
const LIMIT = 16

/** Runs `operation` on every item, at most `limit` at a time; results in the order of the items. */
export async function concurrently<T, R> (items: readonly T[], operation: (item: T) => Promise<R>, limit = LIMIT): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      try {
        results[index] = await operation(items[index] as T)
      } catch (error) {
        next = items.length // nobody waits for the rest any more
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  return results
}
