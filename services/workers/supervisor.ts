import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { ConfigError } from '../errors/config-error.js'
import { isOurs } from './messages.js'
import type { ToPrimary } from './messages.js'
import { Relay } from './relay.js'
import type { Peer } from './relay.js'

/** A worker that served for this long before it died is replaced at once; one that did not, after a growing pause. */
const STEADY_MS = 10_000
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000

export interface SupervisorOptions {
  /** Processes to keep running. */
  readonly count: number
  readonly log: { warn (fields: object, message: string): void }
}

/**
 * The primary process of a server of several: starts the workers, which run the same command line as this one and
 * share its port, carries what they say to each other, and replaces those that die.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #relay = new Relay()
  readonly #running = new Set<Worker>()
  readonly #pauses = new Set<NodeJS.Timeout>()
  #pause = FIRST_PAUSE_MS
  #stopping = false
  #failed = false

  constructor (options: SupervisorOptions) {
    this.#options = options
  }

  /**
   * Starts the workers, the first one alone: what it makes in storage, or finds wrong, is made and found once. Resolves
   * with the URL they listen on.
   *
   * @throws {ConfigError} with what kept a worker from starting; an Error when it is stopped before they listen
   */
  async start (): Promise<string> {
    try {
      const url = await this.#launch()
      await Promise.all(Array.from({ length: this.#options.count - 1 }, async () => await this.#launch()))
      return url
    } catch (error) {
      if (!this.#stopping) this.kill()
      throw error
    }
  }

  /** Lets every worker end what it has begun. Resolves when all have ended, true when each ended well. */
  async stop (): Promise<boolean> {
    this.#stopping = true
    for (const pause of this.#pauses) clearTimeout(pause)
    await Promise.all([...this.#running].map(async worker => {
      // Not `once` of node:events, which rejects at an error: one that ends while it is written to is nothing special.
      const exit = new Promise<number | null>(resolve => { worker.once('exit', resolve) })
      this.#tell(worker, { oci: 'stop' })
      const status = await exit
      this.#failed ||= status !== 0
    }))
    return !this.#failed
  }

  /** Ends every worker at once. */
  kill (): void {
    this.#stopping = true
    for (const worker of this.#running) worker.process.kill('SIGKILL')
  }

  /** Starts a worker that is replaced when it dies. Resolves when it listens. */
  async #launch (): Promise<string> {
    if (this.#stopping) throw new Error('stopped')
    const worker = this.#fork()
    const startedAt = Date.now()
    const url = await this.#started(worker)
    worker.once('exit', (status: number | null, signal: string | null) => {
      this.#replace({ worker: worker.id, status, signal }, Date.now() - startedAt)
    })
    return url
  }

  #fork (): Worker {
    const worker = cluster.fork()
    const peer: Peer = { id: worker.id, send: message => { this.#tell(worker, message) } }
    this.#running.add(worker)
    worker.on('message', (message: unknown) => {
      if (!isOurs<ToPrimary>(message)) return
      this.#relay.receive(peer, message)
      // What it was told while it still loaded its modules nobody there has heard.
      if (message.oci === 'listening' && this.#stopping) this.#tell(worker, { oci: 'stop' })
    })
    // Writing to one that has just died fails; its end is told by `exit`.
    worker.on('error', () => {})
    worker.once('exit', () => {
      this.#running.delete(worker)
      this.#relay.leave(worker.id)
    })
    return worker
  }

  #replace (ended: object, livedMs: number): void {
    if (this.#stopping) return
    this.#options.log.warn(ended, 'a worker process ended; another one takes its place')
    const isSteady = livedMs >= STEADY_MS
    const pause = setTimeout(() => {
      this.#pauses.delete(pause)
      this.#launch().catch((error: Error) => { this.#replace({ err: error }, 0) })
    }, isSteady ? 0 : this.#pause)
    this.#pauses.add(pause)
    this.#pause = isSteady ? FIRST_PAUSE_MS : Math.min(this.#pause * 2, MAX_PAUSE_MS)
  }

  /** Resolves when the worker listens. */
  async #started (worker: Worker): Promise<string> {
    return await new Promise((resolve, reject) => {
      worker.on('message', (message: unknown) => {
        if (!isOurs<ToPrimary>(message)) return
        if (message.oci === 'listening') resolve(message.url)
        if (message.oci === 'fatal') reject(new ConfigError(message.lines))
      })
      worker.once('exit', (status, signal) => {
        reject(new Error(`a worker process ended before it listened (${signal ?? `exit status ${status}`})`))
      })
    })
  }

  #tell (worker: Worker, message: object): void {
    if (worker.isConnected()) worker.send(message)
  }
}
