import type { Run } from './checks.js'
import { failureOf } from './health.js'

/** How long an answer about storage and Redis counts: who asks often costs no more than who asks seldom. */
const MAX_AGE_MS = 1000
/** Those who ask wait for about as long. */
const TIMEOUT_MS = 5000

export interface ReadinessOptions {
  /** What has to answer, by the name it is shown under. */
  readonly needs: Readonly<Record<string, Run>>
  /** What the regular checks have found. */
  readonly failures: () => Readonly<Record<string, string>>
  /** Milliseconds that only go forward. */
  readonly now?: () => number
}

/** Whether requests should be sent here, and what of it is not so. */
export interface ReadinessReport { readonly ready: boolean, readonly problems: Readonly<Record<string, string>> }

/** Whether this process can take requests now: it asks what it needs, and is not about to stop. */
export class Readiness {
  readonly #options: ReadinessOptions
  readonly #now: () => number
  #isDraining = false
  #asked: { readonly at: number, readonly problems: Promise<Record<string, string>> } | undefined

  constructor (options: ReadinessOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** From now on it is not ready: it is about to stop. */
  drain (): void {
    this.#isDraining = true
  }

  async report (): Promise<ReadinessReport> {
    if (this.#isDraining) return { ready: false, problems: { server: 'it is stopping' } }
    const now = this.#now()
    if (this.#asked === undefined || now - this.#asked.at > MAX_AGE_MS) this.#asked = { at: now, problems: this.#ask() }
    const problems = { ...await this.#asked.problems, ...this.#options.failures() }
    return { ready: Object.keys(problems).length === 0, problems }
  }

  async #ask (): Promise<Record<string, string>> {
    const asked = Object.entries(this.#options.needs).map(async ([name, run]) => [name, await failureOf({ run, timeoutMs: TIMEOUT_MS })] as const)
    return Object.fromEntries((await Promise.all(asked)).filter((entry): entry is readonly [string, string] => entry[1] !== undefined))
  }
}
