import type { ServerResponse } from 'node:http'
import type { Http2Stream } from 'node:http2'

/**
 * Calls back with the status once the whole answer has been handed to the network; never, if the client went away or the
 * answer broke off before. What the client does with what is on its way nobody can know.
 */
export function whenServed (response: ServerResponse, callback: (status: number) => void): void {
  const { stream } = response as { stream?: Http2Stream }
  const { socket } = response
  response.once('finish', () => {
    // It is said of answers too whose connection or, in HTTP/2, stream was cut in the middle.
    const isWhole = stream === undefined ? socket?.destroyed !== true : !stream.aborted && stream.rstCode === 0
    if (isWhole) callback(response.statusCode)
  })
}
