import type { ServerResponse } from 'node:http'

/**
 * Calls back with the status once the whole answer has been handed to the network; never, if the client went away or the
 * answer broke off before. What the client does with what is on its way nobody can know.
 */
export function whenServed (response: ServerResponse, callback: (status: number) => void): void {
  response.once('finish', () => {
    // HTTP/2 says that of streams that were cut off as well.
    const { stream } = response as { stream?: { readonly aborted: boolean, readonly rstCode: number } }
    if (stream === undefined || (!stream.aborted && stream.rstCode === 0)) callback(response.statusCode)
  })
}
