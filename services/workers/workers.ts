import type { Ownership } from './ownership.js'

/** What crosses from one process to another: JSON. */
export type Message = unknown

/**
 * The processes that serve one port together, seen from one of them. What must hold for all of them at once goes through
 * here: caches are told what to forget, and what only one may do is done by the leader.
 *
 * A server of one process has the same interface and nobody to talk to: {@link alone}.
 */
export interface Workers {
  /** Of this process, from 1. A process that takes the place of a dead one gets a number of its own. */
  readonly id: number
  /** How many processes serve; 1 when this one is alone. */
  readonly count: number
  /** One process leads at any time. When it dies another one takes over. */
  readonly leads: boolean
  /** Calls `handler` when this process leads: at once, or when it takes over; never twice. */
  onLead (handler: () => void): void
  /**
   * Hands a message to every other process and waits until each has handled it or is dead: what the caller
   * acknowledges after that is true everywhere. Returns what their handlers returned, undefined values left out.
   */
  broadcast (topic: string, message: Message): Promise<Message[]>
  /** Takes the messages that other processes broadcast. One handler per topic. */
  subscribe (topic: string, handler: (message: Message) => Message | Promise<Message>): void
  /** Asks the leader, which may be this process. Rejects with what its handler threw, or when there is none. */
  ask (topic: string, message: Message): Promise<Message>
  /** Answers what other processes ask, whenever this one leads. One handler per topic. */
  serve (topic: string, handler: (message: Message) => Message | Promise<Message>): void
  /** Which process may work on what. Absent where there are no others. */
  readonly ownership?: Ownership
}

/** The one process of a server that has no others. Each registry in it has its own. */
export function alone (): Workers {
  const handlers = new Map<string, (message: Message) => Message | Promise<Message>>()
  return {
    id: 1,
    count: 1,
    leads: true,
    onLead (handler) { handler() },
    async broadcast () { return [] },
    subscribe () {},
    async ask (topic, message) {
      const handler = handlers.get(topic)
      if (handler === undefined) throw new Error(`nobody serves ${topic}`)
      return await handler(message)
    },
    serve (topic, handler) { handlers.set(topic, handler) }
  }
}
