import type { CallKind, Outcome, ToPrimary, ToWorker } from './messages.js'
import { OwnershipTable } from './ownership.js'
import type { Message } from './workers.js'

/** A worker as the primary process sees it. */
export interface Peer {
  readonly id: number
  send (message: ToWorker): void
}

interface Call { readonly peer: number, readonly resolve: (outcome: Outcome | undefined) => void }

/**
 * The primary process's part in the talk of its workers: passes on what they tell and ask each other, knows who leads
 * and who owns what, and answers in the place of workers that died.
 */
export class Relay {
  readonly #peers = new Map<number, Peer>()
  readonly #calls = new Map<number, Call>()
  readonly #table = new OwnershipTable({
    granted: (id, call, key) => { this.#peers.get(id)?.send({ oci: 'owned', call, key }) },
    wanted: (id, key, how) => { this.#peers.get(id)?.send({ oci: 'wanted', key, how }) }
  })

  #leader: number | undefined
  #nextCall = 0

  /** A worker is ready to talk. What was said before does not concern it: it has remembered nothing yet. */
  join (peer: Peer): void {
    this.#peers.set(peer.id, peer)
    this.#leader ??= peer.id
    peer.send({ oci: 'welcome', leads: this.#leader === peer.id })
  }

  /** A worker is gone. */
  leave (id: number): void {
    if (!this.#peers.delete(id)) return
    for (const [call, { peer, resolve }] of this.#calls) {
      if (peer !== id) continue
      this.#calls.delete(call)
      resolve(undefined)
    }
    this.#table.leave(id)
    if (this.#leader !== id) return
    const [next] = this.#peers.values()
    this.#leader = next?.id
    next?.send({ oci: 'lead' })
  }

  receive (from: Peer, message: ToPrimary): void {
    switch (message.oci) {
      case 'hello': return this.join(from)
      case 'broadcast': return this.#answer(from, message.call, this.#broadcast(from, message.topic, message.message))
      case 'ask': return this.#answer(from, message.call, this.#ask(message.topic, message.message))
      case 'settled': return this.#answer(from, message.call, this.#settled(from, message.key))
      case 'elsewhere': return this.#answer(from, message.call, Promise.resolve({ value: this.#ownerBeside(from, message.key) !== undefined }))
      case 'own': return this.#table.own(from.id, message.call, message.key, message.how)
      case 'release': return this.#table.release(from.id, message.call, message.key)
      case 'result': {
        const call = this.#calls.get(message.call)
        this.#calls.delete(message.call)
        call?.resolve(message.outcome)
      }
    }
  }

  #answer (to: Peer, call: number, outcome: Promise<Outcome>): void {
    void outcome.then(outcome => { this.#peers.get(to.id)?.send({ oci: 'outcome', call, outcome }) })
  }

  async #broadcast (from: Peer, topic: string, message: Message): Promise<Outcome> {
    const others = [...this.#peers.values()].filter(({ id }) => id !== from.id)
    const outcomes = await Promise.all(others.map(async peer => await this.#call(peer, 'subscribe', topic, message)))
    const failed = outcomes.find(outcome => outcome !== undefined && 'error' in outcome)
    if (failed !== undefined) return failed
    // A process that died has forgotten everything, which is as good as having heard.
    return { value: outcomes.flatMap(outcome => outcome !== undefined && 'value' in outcome && outcome.value !== undefined ? [outcome.value] : []) }
  }

  async #ask (topic: string, message: Message): Promise<Outcome> {
    const leader = this.#leader === undefined ? undefined : this.#peers.get(this.#leader)
    if (leader === undefined) return { error: `nobody leads: ${topic} cannot be asked for` }
    return await this.#call(leader, 'serve', topic, message) ?? { error: `the leader died while it was asked for ${topic}` }
  }

  async #settled (from: Peer, key: string): Promise<Outcome> {
    const peer = this.#ownerBeside(from, key)
    return peer === undefined ? { value: undefined } : await this.#call(peer, 'settled', key, undefined) ?? { value: undefined }
  }

  #ownerBeside (from: Peer, key: string): Peer | undefined {
    const owner = this.#table.ownerOf(key)
    return owner === undefined || owner === from.id ? undefined : this.#peers.get(owner)
  }

  /** Undefined when the worker died. */
  async #call (peer: Peer, kind: CallKind, topic: string, message: Message): Promise<Outcome | undefined> {
    const call = this.#nextCall++
    return await new Promise(resolve => {
      this.#calls.set(call, { peer: peer.id, resolve })
      peer.send({ oci: 'handle', call, kind, topic, message })
    })
  }
}
