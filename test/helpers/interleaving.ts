import { setImmediate as macrotask } from 'node:timers/promises'
import type { StorageDriver } from '../../services/storage/driver.js'
import { FaultDriver } from './fault-driver.js'

/** Numbers from a seed, the same ones every time (mulberry32). */
export class Random {
  #state: number

  constructor (seed: number) {
    this.#state = seed | 0
  }

  /** At least 0, less than 1. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below (limit: number): number {
    return Math.floor(this.next() * limit)
  }

  of<T> (items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  chance (probability: number): boolean {
    return this.next() < probability
  }
}

/** How many of the calls stand still, and for how many others at most. */
const STALLS = 0.05
const MAX_STALL = 300

/**
 * Lets tasks run one storage call at a time, in an order that a seed decides: every call waits until it is drawn. Two
 * runs with the same seed are the same.
 */
export class Interleaving {
  readonly #random: Random
  readonly #waiting: Array<() => void> = []
  #stalls = STALLS
  /** One call that stands still while others go on: what goes wrong only in a long pause would nearly never be drawn. */
  #stalled: { readonly go: () => void, readonly until: number } | undefined
  /** Outside of `run` calls go through. */
  #isOver = true
  /** Storage calls so far. */
  steps = 0

  constructor (random: Random) {
    this.#random = random
  }

  /** Storage on which every call is a step. With `movesInTwo` a move is a copy and then a delete, as on object storage. */
  driver (driver: StorageDriver, { movesInTwo = false } = {}): StorageDriver {
    const stepped = movesInTwo ? new CopyingDriver(driver) : new FaultDriver(driver)
    stepped.before = async () => { await this.#turn() }
    return stepped
  }

  /** Runs all tasks to their ends, with `stalls` one call at a time late. Rejects with the error of the first that fails. */
  async run (tasks: ReadonlyArray<() => Promise<void>>, { stalls = true } = {}): Promise<void> {
    this.#isOver = false
    this.#stalls = stalls ? STALLS : 0
    const all = Promise.all(tasks.map(async task => { await task() })).finally(() => { this.#isOver = true })
    all.catch(() => {})
    while (!this.#isOver) {
      // Long enough for most to get to their next call, so that there is something to draw from.
      for (let tick = 0; tick < 3; tick++) await new Promise<void>(resolve => { process.nextTick(resolve) })
      this.#thaw()
      if (this.#waiting.length === 0) await macrotask()
      else this.#draw()
    }
    for (const go of this.#waiting.splice(0)) go()
    await all
  }

  /** Also when there is nothing else to do. */
  #thaw (): void {
    if (this.#stalled === undefined || (this.#waiting.length > 0 && this.steps < this.#stalled.until)) return
    this.#waiting.push(this.#stalled.go)
    this.#stalled = undefined
  }

  #draw (): void {
    const go = this.#take()
    this.steps++
    if (this.#stalled !== undefined || !this.#random.chance(this.#stalls)) go?.()
    else if (go !== undefined) this.#stalled = { go, until: this.steps + this.#random.below(MAX_STALL) }
  }

  #take (): (() => void) | undefined {
    const index = this.#random.below(this.#waiting.length)
    const go = this.#waiting[index]
    const last = this.#waiting.pop()
    if (index < this.#waiting.length && last !== undefined) this.#waiting[index] = last
    return go
  }

  async #turn (): Promise<void> {
    if (this.#isOver) return
    await new Promise<void>(resolve => { this.#waiting.push(resolve) })
  }
}

/** Object storage moves nothing: it copies, then deletes. */
class CopyingDriver extends FaultDriver {
  override async move (from: string, to: string): Promise<void> {
    await this.write(to, await this.read(from))
    await this.delete(from)
  }
}
