import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

const UUID_BYTES = 16

/** What proxies make up: nothing that could be taken for something else in a line of the log. */
const SANE = /^[\w.:=+/@-]{1,128}$/

/** Randomness in stock: asking the system for it each time costs more than all the rest. */
const stock = Buffer.alloc(256 * UUID_BYTES)
let used = stock.length

/** Names a request in the log: as the proxy in front names it in `X-Request-Id`, or else by a UUID that sorts by time. */
export function requestId (given: string | string[] | undefined): string {
  return typeof given === 'string' && SANE.test(given) ? given : v7({ random: random() })
}

function random (): Buffer {
  if (used === stock.length) {
    randomFillSync(stock)
    used = 0
  }
  used += UUID_BYTES
  return stock.subarray(used - UUID_BYTES, used)
}
