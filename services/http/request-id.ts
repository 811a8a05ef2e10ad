import { v7 } from 'uuid'

/** What proxies make up: nothing that could be taken for something else in a line of the log. */
const SANE = /^[\w.:=+/@-]{1,128}$/

/** Names a request in the log: as the proxy in front names it in `X-Request-Id`, or else by a UUID that sorts by time. */
export function requestId (given: string | string[] | undefined): string {
  return typeof given === 'string' && SANE.test(given) ? given : v7()
}
