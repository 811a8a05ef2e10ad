/**
 * What remains to be waited for until a change survives a crash of the machine. Whoever makes several changes hands in
 * one of these and waits for all of them at the end, before anything is acknowledged; a driver that knows nothing of it
 * waits by itself.
 */
export class Settling {
  readonly #pending: Array<Promise<void>> = []

  add (pending: Promise<void>): void {
    // Until it is waited for, nobody else would take the error.
    pending.catch(() => {})
    this.#pending.push(pending)
  }

  /** Throws what the first failure was. */
  async end (): Promise<void> {
    while (this.#pending.length > 0) await Promise.all(this.#pending.splice(0))
  }
}
