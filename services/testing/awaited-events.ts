import type { EventAction, EventsByAction, RegistryEvent } from '../notifications/event.js'
import type { EventHandler, RegistryEvents } from '../notifications/subscribers.js'

export interface NextEvent<A extends EventAction> {
  /** Events it says no to stay, for others to take. */
  readonly where?: (event: EventsByAction[A]) => boolean
  /** Milliseconds. Default 5000. */
  readonly timeout?: number
}

/** What happens in a test registry, to be waited for. */
export interface TestEvents extends RegistryEvents {
  /** Everything that has happened, oldest first; the last 10,000 of it. */
  readonly all: RegistryEvent[]
  /**
   * The oldest event of an action that was not taken yet, or the next one there will be. So what has happened before the
   * test asks is not missed, and each event is taken once.
   *
   * @throws {Error} when there is none in time, or the registry closes
   *
   * @example
   * const { target } = await registry.events.next('push', { where: ({ target }) => target.tag === '1.0' })
   */
  next<A extends EventAction> (action: A, options?: NextEvent<A>): Promise<EventsByAction[A]>
}

interface Waiting {
  readonly action: EventAction
  readonly where: (event: RegistryEvent) => boolean
  readonly resolve: (event: RegistryEvent) => void
  readonly reject: (error: Error) => void
}

const ACTIONS: readonly EventAction[] = ['push', 'pull', 'mount', 'delete']
const TIMEOUT_MS = 5000
const MAX_EVENTS = 10_000

/** Keeps events until somebody takes them. */
export class AwaitedEvents implements TestEvents {
  readonly all: RegistryEvent[] = []
  readonly #source: RegistryEvents
  readonly #waiting = new Set<Waiting>()
  #fresh: RegistryEvent[] = []

  constructor (source: RegistryEvents) {
    this.#source = source
    for (const action of ACTIONS) source.on(action, event => { this.#take(event) })
  }

  on<A extends EventAction> (action: A, handler: EventHandler<A>): () => void {
    return this.#source.on(action, handler)
  }

  async next<A extends EventAction> (action: A, { where = () => true, timeout = TIMEOUT_MS }: NextEvent<A> = {}): Promise<EventsByAction[A]> {
    const isWanted = where as (event: RegistryEvent) => boolean
    const known = this.#fresh.find(event => event.action === action && isWanted(event))
    if (known !== undefined) {
      this.#fresh = this.#fresh.filter(event => event !== known)
      return known as EventsByAction[A]
    }
    return await this.#wait(action, isWanted, timeout) as EventsByAction[A]
  }

  /** Nobody waits any longer. */
  close (): void {
    for (const { action, reject } of this.#waiting) reject(new Error(`the registry was closed before there was a ${action}`))
    this.#waiting.clear()
  }

  async #wait (action: EventAction, where: Waiting['where'], timeout: number): Promise<RegistryEvent> {
    let waiting: Waiting | undefined
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.add(waiting = { action, where, resolve, reject })
        timer = setTimeout(() => { reject(new Error(`no ${action} within ${timeout} ms; ${this.#seen()}`)) }, timeout)
      })
    } finally {
      clearTimeout(timer)
      if (waiting !== undefined) this.#waiting.delete(waiting)
    }
  }

  #take (event: RegistryEvent): void {
    if (this.all.push(event) > MAX_EVENTS) this.all.shift()
    for (const waiting of this.#waiting) {
      if (waiting.action !== event.action || !waiting.where(event)) continue
      this.#waiting.delete(waiting)
      return waiting.resolve(event)
    }
    if (this.#fresh.push(event) > MAX_EVENTS) this.#fresh.shift()
  }

  #seen (): string {
    const seen = this.all.slice(-10).map(({ action, target: { repository, tag, digest } }) => `${action} ${repository}${tag === undefined ? `@${digest}` : `:${tag}`}`)
    return seen.length === 0 ? 'nothing has happened' : `the last that happened: ${seen.join(', ')}`
  }
}
