import { setTimeout as sleep } from 'node:timers/promises'
import { OciError } from '../errors/oci-error.js'
import type { Message, Workers } from '../workers/workers.js'
import { LoginThrottle } from './login-throttle.js'
import type { Admission, LoginAttempt, LoginOutcome, ThrottleOptions } from './login-throttle.js'

export interface LoginsOptions extends ThrottleOptions {
  /** The processes that serve together: what one of them counts, all of them count. */
  readonly workers: Workers
  /** Waits; for tests. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
}

type Question = { readonly admit: LoginAttempt } | { readonly settle: LoginAttempt, readonly outcome: LoginOutcome }

const TOPIC = 'auth.logins'
/** Attempts that may be kept waiting at a time. */
const MAX_WAITING = 1000

/**
 * Attempts to log in, counted in one place: the process that leads. When another takes over, it begins to count anew.
 */
export class Logins {
  readonly #workers: Workers
  readonly #throttle: LoginThrottle
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly #closing = new AbortController()
  #waiting = 0

  constructor ({ workers, sleep = pause, ...options }: LoginsOptions) {
    this.#workers = workers
    this.#throttle = new LoginThrottle(options)
    this.#sleep = sleep
    workers.serve(TOPIC, message => this.#answer(message as Question))
  }

  /**
   * Runs `check` when the attempt's turn has come, and counts what comes of it.
   *
   * @throws {OciError} TOOMANYREQUESTS when its turn is too far away
   */
  async attempt<T> (attempt: LoginAttempt, check: () => Promise<T | undefined>): Promise<T | undefined> {
    const admission = await this.#ask({ admit: attempt }) as Admission
    if ('retryAfter' in admission) throw tooMany(admission.retryAfter)
    let outcome: LoginOutcome = 'abandoned'
    try {
      if (admission.wait > 0) await this.#wait(admission.wait)
      const found = await check()
      outcome = found === undefined ? 'failed' : 'succeeded'
      return found
    } finally {
      await this.#ask({ settle: attempt, outcome })
    }
  }

  get numbers (): Record<string, number> {
    return { ...this.#throttle.numbers, waiting: this.#waiting }
  }

  /** Whoever waits is sent away. */
  close (): void {
    this.#closing.abort()
  }

  async #wait (ms: number): Promise<void> {
    if (this.#waiting >= MAX_WAITING) throw tooMany(ms)
    this.#waiting++
    try {
      await this.#sleep(ms, this.#closing.signal)
    } catch (error) {
      throw this.#closing.signal.aborted ? new OciError('UNAVAILABLE', { cause: error }) : error
    } finally {
      this.#waiting--
    }
  }

  #answer (question: Question): Message {
    if ('admit' in question) return this.#throttle.admit(question.admit)
    this.#throttle.settle(question.settle, question.outcome)
    return undefined
  }

  /** Without a leader, for as long as that lasts, this process counts for itself. */
  async #ask (question: Question): Promise<Message> {
    try {
      return await this.#workers.ask(TOPIC, question)
    } catch {
      return this.#answer(question)
    }
  }
}

function tooMany (ms: number): OciError {
  return new OciError('TOOMANYREQUESTS', { detail: 'too many failed logins', headers: { 'retry-after': String(Math.ceil(ms / 1000)) } })
}

async function pause (ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal })
}
