/** Shows somebody at a terminal, or reading a log, how far a long run is. */
export interface Progress {
  /** A new part of the run; `total` is how many steps it has, if that is known. */
  begin (what: string, total?: number): void
  /** Some steps are done. `note` says more about where it is, for example how many bytes were read. */
  advance (steps?: number, note?: string): void
  /** Lets `write` write lines to the same terminal. */
  above (write: () => void): void
  /** The part is over, or the run ends early. */
  end (): void
}

export const silent: Progress = { begin () {}, advance () {}, above (write) { write() }, end () {} }
