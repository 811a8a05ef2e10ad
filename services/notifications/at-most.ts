/** Waits for the promise, but no longer than that; it goes on all the same. */
export async function atMost (ms: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>(resolve => { timer = setTimeout(resolve, ms) })
  await Promise.race([promise, over])
  clearTimeout(timer)
}
