import type { Message, Workers } from '../../services/workers/workers.js'

type Handler = (message: Message) => Message | Promise<Message>

/** Several processes of one server, in one process: messages are copied as on their way from one to another. */
export class ConnectedWorkers {
  readonly all: Workers[] = []
  readonly #subscribed: Array<Map<string, Handler>> = []
  readonly #served: Array<Map<string, Handler>> = []
  readonly #onLead: Array<Array<() => void>> = []
  #leader = 0

  constructor (count: number) {
    for (let i = 0; i < count; i++) this.all.push(this.#worker(i, count))
  }

  /** The first one dies: the next leads, from nothing. Undefined: nobody does. */
  lead (worker: number | undefined): void {
    this.#leader = worker ?? -1
    for (const handler of this.#onLead[this.#leader]?.splice(0) ?? []) handler()
  }

  #worker (index: number, count: number): Workers {
    const subscribed = new Map<string, Handler>()
    const served = new Map<string, Handler>()
    const waiting: Array<() => void> = []
    this.#subscribed.push(subscribed)
    this.#served.push(served)
    this.#onLead.push(waiting)
    const leads = (): boolean => this.#leader === index
    return {
      id: index + 1,
      count,
      get leads () { return leads() },
      onLead (handler) {
        if (leads()) handler()
        else waiting.push(handler)
      },
      broadcast: async (topic, message) => {
        const others = this.#subscribed.filter((_, i) => i !== index)
        const answers = await Promise.all(others.map(async handlers => await handlers.get(topic)?.(structuredClone(message))))
        return answers.filter(answer => answer !== undefined)
      },
      subscribe (topic, handler) { subscribed.set(topic, handler) },
      ask: async (topic, message) => {
        const handler = this.#served[this.#leader]?.get(topic)
        if (handler === undefined) throw new Error(`nobody serves ${topic}`)
        return structuredClone(await handler(structuredClone(message)))
      },
      serve (topic, handler) { served.set(topic, handler) }
    }
  }
}
