import { SingleBar } from 'cli-progress'
import { systemClock } from './clock.js'
import type { Clock } from './clock.js'
import { silent } from './progress.js'
import type { Progress } from './progress.js'

export interface ProgressOptions {
  readonly stream: NodeJS.WriteStream
  /** Shows nothing. */
  readonly quiet?: boolean
  readonly clock?: Pick<Clock, 'now'>
}

/** Between two lines where there is no terminal. */
const LINE_MS = 5000

/** A bar on a terminal; where there is none a line every few seconds, and none for what is over sooner. */
export function createProgress ({ stream, quiet = false, clock = systemClock }: ProgressOptions): Progress {
  if (quiet) return silent
  return stream.isTTY ? new BarProgress(stream) : new LineProgress(stream, clock)
}

class BarProgress implements Progress {
  readonly #stream: NodeJS.WriteStream
  #bar: SingleBar | undefined

  constructor (stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  begin (what: string, total?: number): void {
    this.end()
    const format = total === undefined ? `${what} {value} {note}` : `${what} {bar} {percentage}% {note}`
    // Ends by itself when the process is interrupted; interrupting is the caller's to handle.
    this.#bar = new SingleBar({ stream: this.#stream, format, fps: 5, forceRedraw: true, barCompleteChar: '#', barIncompleteChar: '-', gracefulExit: false })
    this.#bar.start(total ?? 0, 0, { note: '' })
  }

  advance (steps = 1, note?: string): void {
    if (note === undefined) this.#bar?.increment(steps)
    else this.#bar?.increment(steps, { note })
  }

  above (write: () => void): void {
    // The bar is drawn again soon.
    if (this.#bar !== undefined) this.#stream.write('\r\x1b[K')
    write()
  }

  end (): void {
    this.#bar?.stop()
    this.#bar = undefined
  }
}

class LineProgress implements Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #clock: Pick<Clock, 'now'>
  #what = ''
  #total: number | undefined
  #done = 0
  #next = Infinity

  constructor (stream: NodeJS.WriteStream, clock: Pick<Clock, 'now'>) {
    this.#stream = stream
    this.#clock = clock
  }

  begin (what: string, total?: number): void {
    this.#what = what
    this.#total = total
    this.#done = 0
    this.#next = this.#clock.now() + LINE_MS
  }

  advance (steps = 1, note = ''): void {
    this.#done += steps
    const now = this.#clock.now()
    if (now < this.#next) return
    this.#next = now + LINE_MS
    const done = this.#total === undefined ? String(this.#done) : `${Math.floor(100 * this.#done / this.#total)}%`
    this.#stream.write(`${this.#what} ${done} ${note}`.trimEnd() + '\n')
  }

  above (write: () => void): void {
    write()
  }

  end (): void {
    this.#next = Infinity
  }
}
