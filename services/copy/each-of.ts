/** Runs `operation` on every item as they come, at most `width` at a time. After a failure no more are begun, and it is thrown when those under way are over. */
export async function eachOf<T> (items: AsyncIterable<T> | Iterable<T>, width: number, operation: (item: T) => Promise<void>): Promise<void> {
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  for await (const item of items) {
    if (running.size >= width) await Promise.race(running)
    if (failures.length > 0) break
    const one: Promise<void> = operation(item)
      .catch((error: unknown) => { failures.push(error) })
      .finally(() => { running.delete(one) })
    running.add(one)
  }
  await Promise.all(running)
  if (failures.length > 0) throw failures[0]
}
