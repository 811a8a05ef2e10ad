import { setImmediate as macrotask } from 'node:timers/promises'
import type { Clock, SleepOptions } from '../../services/maintenance/clock.js'

interface Sleeper { readonly at: number, readonly ms: number, readonly ref: boolean, readonly wake: () => void }

/** A clock that stands still until the test moves it. Knows who sleeps. */
export class FakeClock implements Clock {
  readonly #sleepers = new Set<Sleeper>()
  #now: number

  constructor (now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  readonly now = (): number => this.#now

  readonly sleep = async (ms: number, { signal, ref = true }: SleepOptions = {}): Promise<void> => {
    signal?.throwIfAborted()
    await new Promise<void>(resolve => {
      const wake = (): void => {
        this.#sleepers.delete(sleeper)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const sleeper = { at: this.#now + ms, ms, ref, wake }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', wake)
    })
    signal?.throwIfAborted()
  }

  /** How long each one that sleeps now asked for, and whether it keeps the process alive. */
  get sleeping (): Array<{ ms: number, ref: boolean }> {
    return [...this.#sleepers].map(({ ms, ref }) => ({ ms, ref }))
  }

  /** Lets time pass, waking everybody in turn, with all that follows from it. */
  async advance (ms: number): Promise<void> {
    const end = this.#now + ms
    await settled()
    for (;;) {
      const [next] = [...this.#sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#now = next.at
      next.wake()
      await settled()
    }
    this.#now = end
  }
}

/** Storage in memory answers within a few turns of the event loop. */
export async function settled (): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await macrotask()
}
