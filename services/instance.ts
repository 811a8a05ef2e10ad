import { randomUUID } from 'node:crypto'

/** Names this process, in events and logs: another one after every start. */
export const instanceId = randomUUID()
