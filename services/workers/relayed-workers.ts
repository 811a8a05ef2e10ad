import type { Outcome, ToPrimary, ToWorker } from './messages.js'
import { OwnedKeys } from './ownership.js'
import type { Ownership } from './ownership.js'
import type { Message, Workers } from './workers.js'

export interface RelayedWorkersOptions {
  readonly id: number
  readonly count: number
  readonly send: (message: ToPrimary) => void
}

type Handler = (message: Message) => Message | Promise<Message>

/** The other processes as one worker sees them: everything goes through the primary process. */
export class RelayedWorkers implements Workers {
  readonly id: number
  readonly count: number
  readonly #send: (message: ToPrimary) => void
  readonly #keys: OwnedKeys
  readonly #handlers = { subscribe: new Map<string, Handler>(), serve: new Map<string, Handler>() }
  readonly #calls = new Map<number, (outcome: Outcome) => void>()
  readonly #onLead: Array<() => void> = []
  #nextCall = 0
  #leads = false
  #welcomed: (() => void) | undefined

  constructor ({ id, count, send }: RelayedWorkersOptions) {
    this.id = id
    this.count = count
    this.#send = send
    this.#keys = new OwnedKeys({
      own: (call, key, how) => { send({ oci: 'own', call, key, how }) },
      release: (call, key) => { send({ oci: 'release', call, key }) },
      settled: async key => await this.#call(call => ({ oci: 'settled', call, key })) as boolean | undefined,
      isElsewhere: async key => await this.#call(call => ({ oci: 'elsewhere', call, key })) as boolean
    })
  }

  get leads (): boolean {
    return this.#leads
  }

  get ownership (): Ownership {
    return this.#keys
  }

  /** Says hello to the primary process. From then on this one hears what the others say, and knows whether it leads. */
  async join (): Promise<void> {
    await new Promise<void>(resolve => {
      this.#welcomed = resolve
      this.#send({ oci: 'hello' })
    })
  }

  onLead (handler: () => void): void {
    if (this.#leads) handler()
    else this.#onLead.push(handler)
  }

  async broadcast (topic: string, message: Message): Promise<Message[]> {
    return await this.#call(call => ({ oci: 'broadcast', call, topic, message })) as Message[]
  }

  subscribe (topic: string, handler: Handler): void {
    this.#handlers.subscribe.set(topic, handler)
  }

  async ask (topic: string, message: Message): Promise<Message> {
    if (!this.#leads) return await this.#call(call => ({ oci: 'ask', call, topic, message }))
    const outcome = await this.#handle('serve', topic, message)
    return valueOf(outcome)
  }

  serve (topic: string, handler: Handler): void {
    this.#handlers.serve.set(topic, handler)
  }

  /** Takes a message of the primary process; `stop` is not for here. */
  receive (message: ToWorker): void {
    switch (message.oci) {
      case 'welcome':
        if (message.leads) this.#lead()
        return this.#welcomed?.()
      case 'lead': return this.#lead()
      case 'owned': return this.#keys.granted(message.call, message.key)
      case 'wanted': return this.#keys.wanted(message.key, message.how)
      case 'handle': {
        const { call, kind, topic } = message
        const handled = kind === 'settled' ? outcomeOf(this.#keys.answerSettled(topic)) : this.#handle(kind, topic, message.message)
        void handled.then(outcome => { this.#send({ oci: 'result', call, outcome }) })
        return
      }
      case 'outcome': {
        const resolve = this.#calls.get(message.call)
        this.#calls.delete(message.call)
        resolve?.(message.outcome)
      }
    }
  }

  #lead (): void {
    this.#leads = true
    for (const handler of this.#onLead.splice(0)) handler()
  }

  async #call (message: (call: number) => ToPrimary): Promise<Message> {
    const call = this.#nextCall++
    const outcome = await new Promise<Outcome>(resolve => {
      this.#calls.set(call, resolve)
      this.#send(message(call))
    })
    return valueOf(outcome)
  }

  /** A worker that has no handler for a broadcast has nothing to do with it; one that is asked must have one. */
  async #handle (kind: 'subscribe' | 'serve', topic: string, message: Message): Promise<Outcome> {
    const handler = this.#handlers[kind].get(topic)
    if (handler !== undefined) return await outcomeOf((async () => await handler(message))())
    return kind === 'subscribe' ? { value: undefined } : { error: `nobody serves ${topic}` }
  }
}

async function outcomeOf (handled: Promise<Message>): Promise<Outcome> {
  try {
    return { value: await handled }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

function valueOf (outcome: Outcome): Message {
  if ('error' in outcome) throw new Error(outcome.error)
  return outcome.value
}
