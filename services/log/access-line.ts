import { lineFormat } from './formats.js'
import type { Fields } from './formats.js'
import { clipped, quoted } from './printable.js'
import { servedFields } from './request-fields.js'
import type { Outcome, RequestFacts } from './request-fields.js'
import { shownUrl } from './shown-url.js'

/** A request that is over. `address` is the client's, without a port. */
export interface ServedRequest extends RequestFacts, Outcome {
  readonly address: string | undefined
}

/** Writes a line of the access log, with its end. */
export type AccessFormat = (request: ServedRequest, time: number) => string

export type AccessFormatName = 'combined' | 'json' | 'logstash'

/** The format of the name; `base` is on every line that is JSON. */
export function accessFormat (name: AccessFormatName, base: Fields): AccessFormat {
  if (name === 'combined') return combined
  const format = lineFormat(name, base)
  return (request, time) => format({ time, level: 'info', message: 'access', fields: servedFields(request) })
}

/** Apache's combined format, as docker's registry writes it: there is never a user, and what is not known is empty. */
function combined ({ address = '-', method, url, proto, status, written, headers }: ServedRequest, time: number): string {
  const { referer, 'user-agent': agent } = headers
  return `${address} - - [${apacheTime(time)}] ${quoted(`${method} ${shownUrl(url)} ${proto}`)} ${status} ${written} ${header(referer && shownUrl(String(referer)))} ${header(agent)}\n`
}

function header (value: string | readonly string[] | undefined): string {
  return value === undefined ? '""' : quoted(clipped(String(value), 1024))
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

let second = NaN
let shownSecond = ''

/** `24/Nov/2026:09:52:51 +0000`; made once for each second. */
function apacheTime (time: number): string {
  const now = Math.floor(time / 1000)
  if (now === second) return shownSecond
  second = now
  const date = new Date(time)
  const iso = date.toISOString()
  shownSecond = `${iso.slice(8, 10)}/${MONTHS[date.getUTCMonth()] ?? ''}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`
  return shownSecond
}
