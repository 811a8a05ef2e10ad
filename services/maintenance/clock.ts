/** Time, so that tests need not wait for it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now (): number
  /** Rejects with the signal's reason as soon as it aborts. With `ref: false` the wait does not keep the process alive. */
  sleep (ms: number, options?: SleepOptions): Promise<void>
}

export interface SleepOptions { readonly signal?: AbortSignal | undefined, readonly ref?: boolean }

/** A longer timer would overflow and fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep (ms, { signal, ref = true } = {}) {
    let left = ms
    do {
      await timer(Math.min(left, MAX_TIMER_MS), ref, signal)
      left -= MAX_TIMER_MS
    } while (left > 0)
  }
}

async function timer (ms: number, ref: boolean, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  let finish!: () => void
  const finished = new Promise<void>(resolve => { finish = resolve })
  const handle = setTimeout(finish, ms)
  if (!ref) handle.unref()
  signal?.addEventListener('abort', finish)
  await finished
  clearTimeout(handle)
  signal?.removeEventListener('abort', finish)
  signal?.throwIfAborted()
}
