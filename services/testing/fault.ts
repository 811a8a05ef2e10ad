/** An HTTP status to answer with, from 400 to 599. */
export type FaultStatus = number

/**
 * What goes wrong:
 * - a status: the request is answered with it, and an error body as the registry writes them;
 * - `expired-token`: 401 with a Bearer challenge that says `error="invalid_token"`;
 * - `reset`: the connection is reset, after `after` bytes of the request's body, or of the answer's where the method is
 *   GET; without `after`, or with 0, at once, and the registry never sees the request;
 * - `truncate`: the connection is closed in good order after `after` bytes of the answer's body, whatever its length said;
 * - `corrupt`: one bit of the answer's body is another one, and its length the same;
 * - `wrong-digest`: `Docker-Content-Digest` and `ETag` name content that is not there.
 */
export type FaultKind = 'reset' | 'truncate' | 'corrupt' | 'wrong-digest' | 'expired-token' | FaultStatus

/** What is to go wrong, and with which requests. */
export interface Fault {
  /** Any method, unless given. */
  readonly method?: string | readonly string[]
  /** The path without its query: exactly this one, or one that matches. Any path, unless given. */
  readonly path?: string | RegExp
  /** How many requests that match are left alone first. Default 0. */
  readonly skip?: number
  /** How often it happens. Default 1; `Infinity` for always. */
  readonly times?: number
  /** Milliseconds to wait first. Alone, without `as`, the request is only slow. */
  readonly delay?: number
  readonly as?: FaultKind
  /** Bytes, for `reset` and `truncate`. Default 0. */
  readonly after?: number
  /** Seconds, for the `Retry-After` of an answer with a status. */
  readonly retryAfter?: number
  /** Where `expired-token` sends the client for another one; that of `auth.token` unless given. */
  readonly realm?: string
}

/** A fault that was asked for. Disposing ends it. */
export interface ActiveFault extends Disposable {
  /** How often it happened. */
  readonly hits: number
  /** It happens no more. */
  end (): void
}

const KINDS: ReadonlySet<unknown> = new Set(['reset', 'truncate', 'corrupt', 'wrong-digest', 'expired-token'])

/** A fault and how often it may still happen. */
export class PendingFault implements ActiveFault {
  readonly fault: Fault
  #skip: number
  #left: number
  #hits = 0

  /** @throws {TypeError} when nothing, or something unknown, is to go wrong */
  constructor (fault: Fault) {
    check(fault)
    this.fault = fault
    this.#skip = fault.skip ?? 0
    this.#left = fault.times ?? 1
  }

  get hits (): number {
    return this.#hits
  }

  /** Says whether it is this request's turn. It has not happened yet: {@link strike} says so. */
  meets (method: string, path: string): boolean {
    if (this.#left <= 0 || !this.#matches(method, path)) return false
    if (this.#skip === 0) return true
    this.#skip--
    return false
  }

  /** To be called when it happens; false when it has happened often enough meanwhile, and must not. */
  readonly strike = (): boolean => {
    if (this.#left <= 0) return false
    this.#left--
    this.#hits++
    return true
  }

  end (): void {
    this.#left = 0
  }

  [Symbol.dispose] (): void {
    this.end()
  }

  #matches (method: string, path: string): boolean {
    const { method: methods, path: pattern } = this.fault
    if (methods !== undefined && ![methods].flat().includes(method)) return false
    if (pattern === undefined || typeof pattern === 'string') return pattern === undefined || pattern === path
    // A pattern with a `g` remembers where it was.
    pattern.lastIndex = 0
    return pattern.test(path)
  }
}

/** All faults of a registry: the first one whose turn it is happens. */
export class Faults {
  #pending: PendingFault[] = []

  add (fault: Fault): ActiveFault {
    const pending = new PendingFault(fault)
    this.#pending.push(pending)
    return pending
  }

  /** Ends all of them. */
  clear (): void {
    for (const pending of this.#pending) pending.end()
    this.#pending = []
  }

  for (method: string, url: string): PendingFault | undefined {
    if (this.#pending.length === 0) return undefined
    const path = url.split('?', 1)[0] ?? url
    return this.#pending.find(pending => pending.meets(method, path))
  }
}

function check ({ as, delay = 0, after, skip = 0, times = 1 }: Fault): void {
  if (as === undefined && !(delay > 0)) throw new TypeError('a fault needs `as`, or a `delay` in milliseconds')
  const isStatus = typeof as === 'number' && Number.isInteger(as) && as >= 400 && as <= 599
  if (as !== undefined && !isStatus && !KINDS.has(as)) throw new TypeError(`a fault cannot be \`as: ${JSON.stringify(as)}\`: a status from 400 to 599, or one of ${[...KINDS].join(', ')}`)
  if (after !== undefined && as !== 'reset' && as !== 'truncate') throw new TypeError('`after` is for faults of the kinds reset and truncate')
  for (const [name, value] of Object.entries({ delay, after: after ?? 0, skip, times })) {
    if (typeof value !== 'number' || !(value >= 0)) throw new TypeError(`\`${name}\` of a fault is a number from 0`)
  }
}
