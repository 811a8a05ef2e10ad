import type { ServerHttp2Stream } from 'node:http2'

/** The stream below a request or response of HTTP/2; undefined where HTTP/1 is spoken. */
export function http2Stream (message: object): ServerHttp2Stream | undefined {
  return 'stream' in message ? message.stream as ServerHttp2Stream : undefined
}
