import type { Message, Workers } from '../../services/workers/workers.js'
import { alone } from '../../services/workers/workers.js'

/** `count` processes of one server, all in this one: what one broadcasts the others have handled when it resolves. */
export function workerGroup (count: number): Workers[] {
  const handlers = Array.from({ length: count }, () => new Map<string, (message: Message) => Message | Promise<Message>>())
  return handlers.map((own, i) => ({
    ...alone(),
    id: i + 1,
    count,
    leads: i === 0,
    async broadcast (topic, message) {
      const others = handlers.filter(other => other !== own)
      // JSON crosses from one process to another, and nothing else.
      const answers = await Promise.all(others.map(async other => await other.get(topic)?.(JSON.parse(JSON.stringify(message)))))
      return answers.filter(answer => answer !== undefined)
    },
    subscribe (topic, handler) { own.set(topic, handler) }
  }))
}
