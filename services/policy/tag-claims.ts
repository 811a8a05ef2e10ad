import { randomUUID } from 'node:crypto'
import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import type { Workers } from '../workers/workers.js'

/** A push on its way to a tag. */
export interface TagClaim { readonly key: string, readonly id: string }

interface Holders { readonly digest: Digest, readonly ids: Map<string, number> }
type Request = { readonly key: string, readonly id: string, readonly digest?: Digest }

/** A process that dies cannot release what it has claimed. */
const LONGEST_MS = 60_000
const TOPIC = 'policy.tagclaims'

/** Which digest is being pushed to which tag, across all processes of the server: the leader knows. */
export class TagClaims {
  readonly #workers: Workers
  readonly #now: () => number
  readonly #claims = new Map<string, Holders>()

  constructor (workers: Workers, now: () => number = Date.now) {
    this.#workers = workers
    this.#now = now
    workers.serve(TOPIC, message => this.#serve(message as Request))
  }

  /** Undefined when another digest is being pushed to the tag. */
  async claim (repository: RepositoryName, tag: Tag, digest: Digest): Promise<TagClaim | undefined> {
    const claim = { key: `${repository}:${tag}`, id: randomUUID() }
    return await this.#workers.ask(TOPIC, { ...claim, digest }) === true ? claim : undefined
  }

  async release (claim: TagClaim): Promise<void> {
    await this.#workers.ask(TOPIC, claim)
  }

  #serve ({ key, id, digest }: Request): boolean {
    const held = this.#live(key)
    if (digest === undefined) {
      held?.ids.delete(id)
      if (held?.ids.size === 0) this.#claims.delete(key)
      return true
    }
    if (held !== undefined && held.digest !== digest) return false
    const holders = held ?? { digest, ids: new Map() }
    holders.ids.set(id, this.#now() + LONGEST_MS)
    this.#claims.set(key, holders)
    return true
  }

  #live (key: string): Holders | undefined {
    const held = this.#claims.get(key)
    const now = this.#now()
    if (held === undefined || [...held.ids.values()].some(until => until > now)) return held
    this.#claims.delete(key)
    return undefined
  }
}
