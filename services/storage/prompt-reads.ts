import { closeSync, constants, openSync, readSync } from 'node:fs'
import { isLocal } from './file-calls.js'

/** What is no file, a pipe for instance, must not be waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK
/** A read that took longer than this was no read from memory, or the machine had other things to do. */
const SLOW_MS = 1
/** For how many times as long as a slow read took the next ones are left to threads. */
const PAUSE = 20
/** The longest pause, which doubles as long as one slow read follows the other. */
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 3200
/** How old what is known of the disk may be. */
const LOOK_MS = 100

export interface ReadClock {
  /** Milliseconds that only go forward. */
  now (): number
  /** How often this process had to wait for a disk. */
  diskReads (): number
}

const systemClock: ReadClock = {
  now: () => performance.now(),
  diskReads: () => process.resourceUsage().fsRead
}

/**
 * Reads small files on the thread that asks. A file that the kernel has in memory is read in less time than it takes to
 * ask another thread for it: a fifth of the CPU. On a disk that is asleep, or busy, it would stop everybody, so that a
 * slow read is followed by a pause, if the disk was what it waited for.
 */
export class PromptReads {
  #buffer = Buffer.alloc(0)
  #pausedUntil = 0
  #diskReads = 0
  #lookAt = 0
  #longestMs = FIRST_PAUSE_MS
  readonly #clock: ReadClock

  constructor (clock = systemClock) {
    this.#clock = clock
  }

  /** Undefined where the directory is not, or may not be, on a disk of this machine. */
  static below (directory: string): PromptReads | undefined {
    return isLocal(directory) ? new PromptReads() : undefined
  }

  /** The content, or undefined when it cannot be had like this: because of its length, an error, or a pause. */
  read (file: string, maxBytes: number): Buffer | undefined {
    const began = this.#clock.now()
    if (began < this.#pausedUntil) return undefined
    if (began >= this.#lookAt) {
      this.#lookAt = began + LOOK_MS
      this.#diskReads = this.#clock.diskReads()
    }
    const bytes = this.#read(file, maxBytes)
    const ended = this.#clock.now()
    if (ended - began > SLOW_MS) this.#pauseAfter(began, ended)
    else this.#longestMs = FIRST_PAUSE_MS
    return bytes
  }

  #pauseAfter (began: number, ended: number): void {
    // For whatever file: a short pause too many does little harm.
    if (this.#clock.diskReads() === this.#diskReads) return
    this.#pausedUntil = ended + Math.min(PAUSE * (ended - began), this.#longestMs)
    this.#longestMs = Math.min(2 * this.#longestMs, MAX_PAUSE_MS)
  }

  #read (file: string, maxBytes: number): Buffer | undefined {
    if (this.#buffer.length <= maxBytes) this.#buffer = Buffer.allocUnsafeSlow(maxBytes + 1)
    let fd
    try {
      fd = openSync(file, FLAGS)
      const length = readSync(fd, this.#buffer, 0, maxBytes + 1, 0)
      return length > maxBytes ? undefined : Buffer.from(this.#buffer.subarray(0, length))
    } catch {
      // What is wrong is found, and said, by the read that follows.
      return undefined
    } finally {
      if (fd !== undefined) closeSync(fd)
    }
  }
}
