import type { Message, Workers } from '../../services/workers/workers.js'

type Handler = (message: Message) => Message | Promise<Message>

/** Several processes of one server, played in one: the first leads until it dies. */
export class PlayedWorkers {
  readonly all: PlayedWorker[]

  constructor (count: number) {
    this.all = Array.from({ length: count }, (_, i) => new PlayedWorker(i + 1, this))
    this.all[0]?.lead()
  }

  /** The next one takes over when it led. */
  kill (worker: PlayedWorker): void {
    this.all.splice(this.all.indexOf(worker), 1)
    if (worker.leads) this.all[0]?.lead()
  }
}

export class PlayedWorker implements Workers {
  readonly id: number
  leads = false
  readonly subscribed = new Map<string, Handler>()
  readonly served = new Map<string, Handler>()
  readonly #together: PlayedWorkers
  readonly #onLead: Array<() => void> = []

  constructor (id: number, together: PlayedWorkers) {
    this.id = id
    this.#together = together
  }

  get count (): number {
    return this.#together.all.length
  }

  lead (): void {
    this.leads = true
    for (const handler of this.#onLead.splice(0)) handler()
  }

  onLead (handler: () => void): void {
    if (this.leads) handler()
    else this.#onLead.push(handler)
  }

  async broadcast (topic: string, message: Message): Promise<Message[]> {
    const others = this.#together.all.filter(worker => worker !== this)
    const answers = await Promise.all(others.map(async worker => await worker.subscribed.get(topic)?.(message)))
    return answers.filter(answer => answer !== undefined)
  }

  subscribe (topic: string, handler: Handler): void {
    this.subscribed.set(topic, handler)
  }

  async ask (topic: string, message: Message): Promise<Message> {
    const handler = this.#together.all.find(({ leads }) => leads)?.served.get(topic)
    if (handler === undefined) throw new Error(`nobody serves ${topic}`)
    return await handler(message)
  }

  serve (topic: string, handler: Handler): void {
    this.served.set(topic, handler)
  }
}
