import type { ServerResponse } from 'node:http'
import type { Http2Stream } from 'node:http2'

/**
 * Calls back with the status once the whole answer has been handed to the network; never, if the client went away or the
 * answer broke off before. What the client does with what is on its way nobody can know.
 */
export function whenServed (response: ServerResponse, callback: (status: number) => void): void {
  const isWhole = wholeness(response)
  response.once('finish', () => { if (isWhole()) callback(response.statusCode) })
}

/** Calls back once, when all is over with an answer: whether the whole of it was handed to the network. */
export function whenOver (response: ServerResponse, callback: (isWhole: boolean) => void): void {
  const isWhole = wholeness(response)
  let isOver = false
  const over = (whole: boolean): void => {
    if (isOver) return
    isOver = true
    callback(whole)
  }
  response.once('finish', () => { over(isWhole()) })
  response.once('close', () => { over(false) })
}

/** To be asked when it has finished: that is said of answers too whose connection or, in HTTP/2, stream was cut in the middle. */
function wholeness (response: ServerResponse): () => boolean {
  const { stream } = response as { stream?: Http2Stream }
  // Pipelined, an answer gets its socket when its turn has come; its request has it.
  const socket = response.socket ?? response.req?.socket
  return () => stream === undefined ? socket?.destroyed !== true : !stream.aborted && stream.rstCode === 0
}
