import type { RegistryEvent } from './event.js'

/** An event and its JSON, which is made once for all queues. */
export interface Serialized { readonly event: RegistryEvent, readonly json: string }

export interface QueuedEvent {
  readonly event: RegistryEvent
  /** Where it is in its queue. */
  readonly position: number | string
}

/** What a queue may hold. Whatever comes on top of that takes the place of the oldest. */
export interface QueueLimits { readonly events: number, readonly bytes: number }

/**
 * What one endpoint has not taken yet, oldest first. An event stays at the head until it is acknowledged or has to make
 * room for a newer one, so whoever tries again asks for the head again.
 */
export interface EventQueue {
  readonly pending: number
  /** Events that had to make room, or could not be kept, since the process started. */
  readonly dropped: number
  /** Whether what is left when the process ends is there when it starts again. */
  readonly isDurable: boolean
  /** Resolves when the events are as safe as they get. In the order of the calls; never rejects: what cannot be kept is counted. */
  append (events: readonly Serialized[]): Promise<void>
  /** The oldest event; waits for one. Undefined when the signal is aborted. */
  next (signal: AbortSignal): Promise<QueuedEvent | undefined>
  /** The event need not be delivered again. Nothing happens when it had to make room meanwhile. */
  acknowledge (event: QueuedEvent): Promise<void>
  /** Makes everything as safe as it gets. Nothing is appended after that. */
  close (): Promise<void>
}

/** Lets one waiter sleep until it is woken, called off, or some time is over. */
export class Wakeup {
  #resolve: (() => void) | undefined
  #isDue = false

  wake (): void {
    this.#isDue = true
    this.#resolve?.()
  }

  /** Returns at once when somebody called since the last wait. */
  async wait (signal: AbortSignal, ms?: number): Promise<void> {
    if (!this.#isDue && !signal.aborted) {
      const { promise, resolve } = deferred()
      this.#resolve = resolve
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms)
      signal.addEventListener('abort', resolve)
      await promise
      signal.removeEventListener('abort', resolve)
      clearTimeout(timer)
      this.#resolve = undefined
    }
    this.#isDue = false
  }
}

/** A promise and what fulfils it. */
export function deferred (): { promise: Promise<void>, resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>(_resolve => { resolve = _resolve })
  return { promise, resolve }
}
