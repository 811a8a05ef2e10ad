import { orIfMissing, readSmall } from '../errors/driver-error.js'
import type { Clock } from '../maintenance/clock.js'
import { systemClock } from '../maintenance/clock.js'
import { Job } from '../maintenance/job.js'
import type { JobStatus } from '../maintenance/job.js'
import type { Log } from '../maintenance/log.js'
import type { Digest } from '../reference/reference.js'
import type { ReferenceValidation } from '../registry/reference-check.js'
import type { StorageDriver } from '../storage/driver.js'
import type { Finding } from './finding.js'
import { formatFinding } from './report.js'
import { verify } from './verify.js'
import type { VerifyResult } from './verify.js'

/** Of the lease under which storage is verified, when something may be repaired. */
export const VERIFY = 'verify'

/** When the last run was complete, and how far the one after it came. */
const FINISHED = '/oci-registry/verify/finished'
const REACHED = '/oci-registry/verify/reached'
const MAX_STATE_BYTES = 256
/** How often it looks whether a run is due. */
const CHECK_MS = 3_600_000
const MINUTE_MS = 60_000

export interface ScrubOptions {
  readonly driver: StorageDriver
  /** From one complete run to the next. */
  readonly intervalMs: number
  /** Bytes a second. */
  readonly rate: number
  readonly repair: boolean
  readonly validation: ReferenceValidation
  /** Makes the caches of this server forget content that was set aside. */
  readonly forget?: (digest: Digest) => Promise<void>
  readonly log: Log
  readonly clock?: Clock
  readonly random?: () => number
}

/**
 * Verifies the storage of a running server, slowly. When it did so last is kept in storage, and where it was when it
 * was interrupted: servers are restarted more often than large storage is read once.
 */
export class Scrub {
  readonly #options: ScrubOptions
  readonly #clock: Clock
  readonly #job: Job<VerifyResult>
  #isAsked = false

  constructor (options: ScrubOptions) {
    const { intervalMs, random = Math.random, clock = systemClock } = options
    this.#options = options
    this.#clock = clock
    const checkMs = Math.max(MINUTE_MS, Math.min(CHECK_MS, intervalMs))
    this.#job = new Job({
      ...options,
      name: 'verify',
      lease: VERIFY,
      firstMs: MINUTE_MS + random() * (checkMs - MINUTE_MS),
      intervalMs: checkMs,
      isDue: async () => this.#isAsked || await this.#isDue(),
      run: async signal => await this.#verify(signal)
    })
  }

  get status (): JobStatus<VerifyResult> {
    return this.#job.status
  }

  start (): void {
    this.#job.start()
  }

  /** A run now, due or not; or the one under way. Undefined when another server on the same storage is at it. */
  async runOnce (): Promise<VerifyResult | undefined> {
    this.#isAsked = true
    try {
      return await this.#job.runOnce()
    } finally {
      this.#isAsked = false
    }
  }

  async stop (): Promise<void> {
    await this.#job.stop()
  }

  async #isDue (): Promise<boolean> {
    const finished = Date.parse(await this.#readState(FINISHED))
    return Number.isNaN(finished) || this.#clock.now() - finished >= this.#options.intervalMs
  }

  async #verify (signal: AbortSignal): Promise<VerifyResult> {
    const { driver, log } = this.#options
    const after = await this.#readState(REACHED)
    log.info(`verify: starting${after === '' ? '' : `, content after ${after}`}`)
    const result = await verify({
      ...this.#options,
      after,
      onShard: async shard => { await this.#writeState(REACHED, shard) },
      onFinding: finding => { this.#log(finding) },
      signal
    })
    await this.#writeState(FINISHED, new Date(this.#clock.now()).toISOString())
    await orIfMissing(driver.delete(REACHED), undefined)
    log.info(result, 'verify: finished')
    return result
  }

  #log (finding: Finding): void {
    const { log } = this.#options
    const isBad = finding.severity === 'corrupt' || finding.severity === 'missing'
    log[isBad ? 'error' : 'info'](`verify: ${formatFinding(finding)}`)
  }

  async #readState (path: string): Promise<string> {
    const content = await readSmall(this.#options.driver.read(path, { maxBytes: MAX_STATE_BYTES }))
    return content?.toString('latin1') ?? ''
  }

  async #writeState (path: string, text: string): Promise<void> {
    await this.#options.driver.write(path, Buffer.from(text, 'latin1'), { durable: false })
  }
}
